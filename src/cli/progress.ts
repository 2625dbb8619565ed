import { SingleBar } from 'cli-progress';

/** A bar with an ETA where stderr is a terminal, else nothing: logs get a line a finished step from the command. */
export interface ProgressBar {
  /** Work done so far, of `total`, and what is under way. */
  update(done: number, what: string): void;
  /** Takes the bar off the screen to write a line, and puts it back with the next update. */
  say(line: string): void;
  stop(): void;
}

export function createProgress(total: number): ProgressBar {
  const isTerminal = process.stderr.isTTY === true;
  let bar: SingleBar | undefined;
  const stop = () => {
    bar?.stop();
    bar = undefined;
  };
  return {
    update(done, what) {
      if (!isTerminal) return;
      if (!bar) {
        bar = new SingleBar({
          format: '{bar} {percentage}% | {what} | {eta_formatted} left',
          stream: process.stderr,
          hideCursor: true,
          clearOnComplete: true,
          // The first rows are not the slowest: an average over everything so far jumps least.
          etaBuffer: 1000,
        });
        bar.start(total, done, { what });
      }
      bar.update(done, { what });
    },
    say(line) {
      stop();
      process.stderr.write(`${line}\n`);
    },
    stop,
  };
}
