import { type GivenTensor, readTensor, type Value } from './value.ts';

/** A node with what it reads. */
export class Call {
  constructor(
    readonly opset: number,
    readonly inputs: readonly (Value | null)[],
    /** How many outputs the node has. */
    readonly outputs: number,
    private readonly attributes: Readonly<Record<string, unknown>>,
  ) {}

  /** An input that must be there. */
  input(place: number): Value {
    const value = this.inputs[place];
    if (!value) throw new Error(`input ${place} is missing`);
    return value;
  }

  optional(place: number): Value | null {
    return this.inputs[place] ?? null;
  }

  given(place: number): Value[] {
    return this.inputs.slice(place).map((_, i) => this.input(place + i));
  }

  has(name: string): boolean {
    return this.attributes[name] !== undefined;
  }

  integer(name: string, fallback: number): number {
    return Number(this.attributes[name] ?? fallback);
  }

  /** Attributes are float32. */
  float(name: string, fallback: number): number {
    return Math.fround(Number(this.attributes[name] ?? fallback));
  }

  text(name: string, fallback: string): string {
    return String(this.attributes[name] ?? fallback);
  }

  /** A list of names; null where it is not there. */
  texts(name: string): string[] | null {
    const value = this.attributes[name] as readonly string[] | undefined;
    return value === undefined ? null : value.map(String);
  }

  /** A list attribute; null where it is not there. */
  list(name: string): number[] | null {
    const value = this.attributes[name] as ArrayLike<number> | undefined;
    return value === undefined ? null : Array.from(value, Number);
  }

  /** A tensor attribute; null where it is not there. */
  tensor(name: string): Value | null {
    const value = this.attributes[name] as GivenTensor | undefined;
    return value === undefined ? null : readTensor(value);
  }

  /** What older opsets have as an attribute and newer ones as an input. */
  moved(name: string, place: number, since: number): number[] | null {
    if (this.opset < since) return this.list(name);
    const value = this.optional(place);
    return value && Array.from(value.data);
  }
}

/** What an operator gives, every output that it can have. */
export type Definition = (call: Call) => Value[];

/** An axis counted from either end. */
export const axisOf = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);
