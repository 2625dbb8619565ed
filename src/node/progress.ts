import { SingleBar } from 'cli-progress';

/** How far a long job is: `done` from 0 to 1, or undefined where that is unknown. */
export type Progress = (done: number | undefined, what: string) => void;

/**
 * Reports on stderr: a bar where it is a terminal, else one line a job, since a log keeps every redraw of a bar.
 * Call `stop` at the end, also after an error.
 */
export function stderrProgress(): { progress: Progress; say(line: string): void; stop(): void } {
  let bar: SingleBar | undefined;
  let current: string | undefined;
  const stop = () => {
    bar?.stop();
    bar = undefined;
    current = undefined;
  };
  const say = (line: string) => {
    stop();
    process.stderr.write(`${line}\n`);
  };
  const progress: Progress = (done, what) => {
    if (what !== current) {
      stop();
      current = what;
      if (done === undefined || !process.stderr.isTTY) process.stderr.write(`${what}\n`);
      else {
        bar = new SingleBar({
          format: '{what} [{bar}] {percentage}%',
          stream: process.stderr,
          hideCursor: true,
        });
        bar.start(1000, 0, { what });
      }
    }
    if (done !== undefined) bar?.update(Math.round(done * 1000));
  };
  return { progress, say, stop };
}
