/** What a PromQL expression names: metrics, labels and the values that it looks for. Enough of the language for our own queries. */

/** One selector: `name{label="x", other=~"y|z"}`. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly value: string; readonly isPattern: boolean }[];
}

const SELECTOR = /([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|(?=\[)|(?![\w:({]|\s*\())/g;
const MATCHER = /(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g;
const GROUPING = /\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
const OPERATORS = new Set(['and', 'or', 'unless', 'bool', 'offset']);

/** Every selector in an expression. */
export function selectorsIn(expression: string): readonly Selector[] {
  const bare = expression.replace(GROUPING, ' ').replace(/\[[^\]]*\]/g, '');
  return [...bare.matchAll(SELECTOR)]
    .filter(([, name = '']) => /[_:]|^up$/.test(name) && !OPERATORS.has(name))
    .map(([, metric = '', braces = '']) => ({
      metric,
      matchers: [...braces.matchAll(MATCHER)].map(([, label = '', operator = '', value = '']) => ({
        label,
        value,
        isPattern: operator.includes('~'),
      })),
    }));
}

/** Every label that an expression groups or joins by. */
export function groupingsIn(expression: string): readonly string[] {
  return [...expression.matchAll(GROUPING)].flatMap(([, labels = '']) =>
    labels.split(',').flatMap((label) => label.trim() || []),
  );
}

/** The queries of a Grafana dashboard, its variables put in: everything, as `rate` over a minute. */
export function queriesOf(dashboard: Dashboard): readonly { readonly title: string; readonly expression: string }[] {
  return dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      title,
      expression: expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(?:namespace|instance)\b/g, '.*'),
    })),
  );
}

/** What we look at of a dashboard. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly description?: string;
    readonly datasource?: { readonly uid: string };
    readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
    readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
  }[];
}
