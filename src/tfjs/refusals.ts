import { LloydError } from '../gpu/errors.ts';

/** A node or layer by what errors call it. */
interface Named {
  name: string;
  op: string;
}

/** What has no counterpart, collected so that all of it is said at once. */
export class Refusals {
  private readonly reasons: string[] = [];
  /** Refused, or made of what is. */
  private readonly without = new Set<object>();

  constructor(
    private readonly network: string,
    private readonly what: 'node' | 'layer',
    private readonly cure: string,
  ) {}

  has(node: object): boolean {
    return this.without.has(node);
  }

  add(node: Named, reason: string): void {
    this.reasons.push(`${node.name} (${node.op}): ${reason}`);
    this.without.add(node);
  }

  /** Its inputs are refused, which is all there is to say. */
  skip(node: object): void {
    this.without.add(node);
  }

  /** Does `work`; what it refuses is the node's reason. */
  collect(node: Named, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.caught(node, error);
    }
  }

  async collectAsync(node: Named, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.caught(node, error);
    }
  }

  private caught(node: Named, error: unknown): void {
    if (!(error instanceof LloydError)) throw error;
    // A helper's name begins with the node's, whose name comes in front already.
    const text = error.message.replace(/^[^ ]+( \([^)]*\))?: /, (own) =>
      own.startsWith(node.name) ? '' : own,
    );
    this.add(node, text);
  }

  /** @throws LloydError with every reason, if there is any */
  check(total: number): void {
    const { reasons, network, what } = this;
    if (reasons.length === 0) return;
    throw new LloydError(
      `${network}: every ${what} must have a counterpart; ${reasons.length} of ${total} have none: ${reasons.join('; ')}`,
      undefined,
      this.cure,
    );
  }
}
