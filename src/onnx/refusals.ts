import { check, LloydError } from '../gpu/errors.ts';

/** The cure of what no exporter writes. */
export const DAMAGED = 'is the file damaged?';

/** What a model has that cannot be read, said all at once. */
export class Refusals {
  private readonly all: string[] = [];

  constructor(private readonly graph: string) {}

  add(what: string, why: string): void {
    this.all.push(`${what}: ${why}`);
  }

  collect(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof LloydError)) throw error;
      this.last = error;
      this.all.push(error.message.startsWith(what) ? error.message : `${what}: ${error.message}`);
    }
  }

  get any(): boolean {
    return this.all.length > 0;
  }

  raise(): void {
    if (this.all.length === 1 && this.last) throw this.last;
    check(
      this.all.length === 0,
      `${this.graph}: ${this.all.length} things of this model cannot be read`,
      this.all,
      'convert them with the tool that made the model',
    );
  }

  private last: LloydError | null = null;
}
