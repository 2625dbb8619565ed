/** Names that are given out once each. */
export class Names {
  private readonly taken: Set<string>;
  /** The last number that a name was tried with: a loop's rounds all want the same ones. */
  private readonly uses = new Map<string, number>();

  constructor(names: Iterable<string> = []) {
    this.taken = new Set(names);
  }

  /** Takes a name that something has already. */
  add(name: string): void {
    this.taken.add(name);
  }

  /** A name that nothing has yet: this one, or this one with a number. */
  unique(name: string): string {
    let use = this.uses.get(name) ?? 1;
    let own = use === 1 ? name : `${name}#${use}`;
    while (this.taken.has(own)) own = `${name}#${++use}`;
    this.uses.set(name, use);
    this.taken.add(own);
    return own;
  }
}
