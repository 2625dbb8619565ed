/** Values a fixture pickle is made of, beyond numbers, text, null, booleans, arrays (tuples) and Maps (dicts). */
export class Global {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
}
export class Reduce {
  constructor(
    readonly callee: Global,
    readonly args: unknown[],
    readonly state?: unknown,
  ) {}
}
export class PersistentId {
  constructor(readonly id: unknown) {}
}

/** A pickle of protocol 2, by the opcodes as Python's `pickletools` documents them. */
export function pickle(value: unknown): Uint8Array {
  const out: number[] = [0x80, 2];
  write(value, out);
  out.push(0x2e);
  return Uint8Array.from(out);
}

function write(value: unknown, out: number[]): void {
  if (value === null) out.push(0x4e);
  else if (value === true || value === false) out.push(value ? 0x88 : 0x89);
  else if (typeof value === 'bigint') writeLong(value, out);
  else if (typeof value === 'number') writeNumber(value, out);
  else if (typeof value === 'string') {
    const text = new TextEncoder().encode(value);
    out.push(0x58, ...u32(text.length), ...text);
  } else if (Array.isArray(value)) {
    out.push(0x28);
    for (const item of value) write(item, out);
    out.push(0x74);
  } else if (value instanceof Map) {
    out.push(0x7d, 0x28);
    for (const pair of value) for (const item of pair) write(item, out);
    out.push(0x75);
  } else if (value instanceof Global) {
    out.push(0x63, ...new TextEncoder().encode(`${value.module}\n${value.name}\n`));
  } else if (value instanceof Reduce) {
    write(value.callee, out);
    write(value.args, out);
    out.push(0x52);
    if (value.state !== undefined) {
      write(value.state, out);
      out.push(0x62);
    }
  } else if (value instanceof PersistentId) {
    write(value.id, out);
    out.push(0x51);
  } else throw new Error(`no opcode for ${value}`);
}

function writeNumber(value: number, out: number[]): void {
  if (Number.isInteger(value)) out.push(0x4a, ...u32(value));
  else {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value);
    out.push(0x47, ...bytes);
  }
}

function writeLong(value: bigint, out: number[]): void {
  const bytes: number[] = [];
  for (let rest = value; rest !== 0n && rest !== -1n; rest >>= 8n) bytes.push(Number(rest & 255n));
  out.push(0x8a, bytes.length + 1, ...bytes, value < 0n ? 255 : 0);
}

function u32(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
}
