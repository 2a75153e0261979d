/** The order of a pipeline's tasks: who waits for whom, and who is next. */

/** Names of tasks, each with the tasks it waits for. */
export type Graph = ReadonlyMap<string, readonly string[]>;

/** A task of the graph: its name and those it waits for. */
export interface Node {
  readonly name: string;
  readonly after: readonly string[];
}

/** The graph; throws an Error with Tekton's sentence for a name given twice, a circle, or a task that is not there. */
export function buildGraph(nodes: readonly Node[]): Graph {
  const graph = new Map<string, readonly string[]>();
  for (const { name, after } of nodes) {
    if (graph.has(name)) {
      throw new Error(`task ${name} is already present in Graph, can't add it again: duplicate pipeline task`);
    }
    graph.set(name, after);
  }
  refuseCircles(graph);
  for (const [name, after] of graph) {
    const missing = after.find((before) => !graph.has(before));
    if (missing !== undefined) {
      const why = `task ${name} depends on ${missing} but ${missing} wasn't present in Pipeline`;
      throw new Error(`couldn't add link between ${name} and ${missing}: ${why}`);
    }
  }
  return graph;
}

/** The tasks that are not done while all they wait for is. */
export function candidates(graph: Graph, done: ReadonlySet<string>): ReadonlySet<string> {
  const next = [...graph].filter(([name, after]) => !done.has(name) && after.every((before) => done.has(before)));
  return new Set(next.map(([name]) => name));
}

/** Takes away, again and again, what waits for nothing that is left. What cannot be taken away goes round in a circle. */
function refuseCircles(graph: Graph): void {
  const waiting = new Map(
    [...graph].filter(([, after]) => after.length > 0).map(([name, after]) => [name, new Set(after)]),
  );
  for (;;) {
    const free = [...new Set([...waiting.values()].flatMap((after) => [...after]))].filter(
      (name) => !waiting.has(name),
    );
    if (free.length === 0) break;
    for (const [name, after] of waiting) {
      for (const one of free) after.delete(one);
      if (after.size === 0) waiting.delete(name);
    }
  }
  const [first] = [...waiting.keys()].sort();
  if (first === undefined) return;
  const needs = [...(waiting.get(first) ?? [])].sort().map((name) => JSON.stringify(name));
  throw new Error(`cycle detected; task ${JSON.stringify(first)} depends on ${needs.join(', ')}`);
}
