import { Session } from 'node:inspector';

interface Range {
  startOffset: number;
  endOffset: number;
  count: number;
}
interface ScriptCoverage {
  url: string;
  functions: { functionName: string; ranges: Range[] }[];
}

/** Which blocks of the bundle have run, by V8's own coverage: what an input reached that none did before it. */
export class Coverage {
  private readonly session = new Session();
  private readonly seen = new Set<string>();

  /** @param folder only scripts below it are looked at */
  constructor(private readonly folder: string) {
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
  }

  /** How many blocks ran since the last call that had never run before. */
  take(): number {
    const before = this.seen.size;
    // The inspector answers a session of the same thread before `post` returns.
    this.session.post('Profiler.takePreciseCoverage', (_, answer) => {
      for (const { url, functions } of (answer as unknown as { result: ScriptCoverage[] }).result) {
        if (!url.includes(this.folder)) continue;
        for (const { ranges } of functions) {
          for (const { startOffset, endOffset, count } of ranges) {
            if (count > 0) this.seen.add(`${url.length}:${startOffset}:${endOffset}`);
          }
        }
      }
    });
    return this.seen.size - before;
  }

  get blocks(): number {
    return this.seen.size;
  }

  close(): void {
    this.session.disconnect();
  }
}
