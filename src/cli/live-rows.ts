import { topOne } from '../run/metrics.ts';

/** Rows that are written as they come: a mark an image, or a part of the images where they are many. */
export interface LiveRows {
  start(name: string): void;
  /** What a row's images so far were taken for. */
  update(done: number, total: number, logits: Float32Array): void;
  end(text: string): void;
  /** Ends a line that is under way, so that what is written next has its own. */
  stop(): void;
}

/** More marks would fill a line. */
const MOST_MARKS = 48;
const LONGEST_NAME = 'kmeans-4-qat'.length;

/** @param labels what the images are */
export function liveRows(
  labels: Uint8Array,
  write = (text: string) => void process.stderr.write(text),
): LiveRows {
  let open = false;
  let shown = 0;
  return {
    start(name) {
      this.stop();
      write(`  ${`${name}:`.padEnd(LONGEST_NAME + 2)}`);
      open = true;
      shown = 0;
    },
    update(done, total, logits) {
      if (!open) return;
      if (total > MOST_MARKS) {
        const marks = Math.floor((done / total) * MOST_MARKS);
        write('.'.repeat(Math.max(0, marks - shown)));
        shown = Math.max(shown, marks);
        return;
      }
      const tops = topOne(logits, logits.length / done);
      write([...tops.slice(shown)].map((top, i) => (top === labels[shown + i] ? '✓' : '✗')).join(''));
      shown = done;
    },
    end(text) {
      if (!open) return;
      write(` ${text}\n`);
      open = false;
    },
    stop() {
      if (open) write('\n');
      open = false;
    },
  };
}
