/** What is being done, for whoever watches: one moving line on a terminal, plain lines elsewhere. */

/** Tells how work goes. Several pieces may be under way at once. */
export interface Progress {
  /** One line, now. */
  say(line: string): void;
  /** Names the work while it lasts, with the time it has taken so far, and says when it is done. */
  during<T>(what: string, work: () => Promise<T>): Promise<T>;
}

const plainReminderMs = 30_000;

/** Progress on standard error, so that the output of `env` and `status` stays clean. */
export function showProgress(stream: NodeJS.WriteStream): Progress {
  const started = new Map<string, number>();
  const clear = () => stream.isTTY && stream.write('\r\x1b[K');
  const draw = () => {
    if (!stream.isTTY || started.size === 0) return;
    const line = [...started].map(([what, at]) => `${what} ${since(at)}`).join(' · ');
    stream.write(`\r\x1b[K${line.slice(0, Math.max(20, (stream.columns ?? 80) - 1))}`);
  };
  const say = (line: string) => {
    clear();
    stream.write(`${line}\n`);
    draw();
  };
  return {
    say,
    async during(what, work) {
      const at = Date.now();
      started.set(what, at);
      if (!stream.isTTY) say(`${what} ...`);
      draw();
      const reminder = stream.isTTY
        ? setInterval(draw, 1000)
        : setInterval(() => say(`${what}: ${since(at)} so far`), plainReminderMs);
      try {
        const result = await work();
        started.delete(what);
        say(`${what}: done in ${since(at)}`);
        return result;
      } finally {
        clearInterval(reminder);
        started.delete(what);
        clear();
      }
    },
  };
}

/** The time since a moment, for reading: `9.5 s`, `2 min 3 s`. */
export function since(at: number): string {
  const seconds = (Date.now() - at) / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
