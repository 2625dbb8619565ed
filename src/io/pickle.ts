import { check, LloydError } from '../gpu/errors.ts';
import type { Budget } from './budget.ts';

/** What a pickle may refer to outside itself. Nothing else runs: a name that is not here is refused. */
export interface PickleWorld {
  /** By `module.name`; called with the arguments of a REDUCE, or handed on as a value. */
  globals: Map<string, PickleGlobal>;
  /** Stands in for a persistent id, which torch uses for storages. */
  persistentLoad(id: unknown): unknown;
  /** What the values may take, and what a global's call takes. */
  budget: Budget;
}

/** A global that a pickle names. */
export interface PickleGlobal {
  name: string;
  call?(args: unknown[]): unknown;
}

/** Stands for an object of which nothing is needed, such as a numpy scalar. */
export class Opaque {
  constructor(readonly name: string) {}
}

const MARK = Symbol('mark');

/** About what V8 takes for each: opcodes of one byte would otherwise ask for two hundred. */
const COST = { memo: 48, array: 64, dict: 256 };
const CURE = 'save model.state_dict() with torch.save, not the model or the training state';
const HIGHEST_PROTOCOL = 5;
/** PyTorch's own magic number takes 10; no number of a state dict takes more than 8. */
const MAX_INTEGER_BYTES = 32;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads one pickle, of the opcodes that protocols 2 to 5 use for numbers, text, tuples, lists and dicts.
 * Dicts come back as Maps, lists as arrays, tuples as frozen ones, integers past 2^53 as bigints. Values are shared as
 * the pickle shares them, so a walk over all of them may never end: look only at what is expected.
 *
 * Source: the opcodes as Python's `pickletools` documents them.
 *
 * @param bytes a buffer that holds the pickle
 * @param start where it begins
 * @returns the value and the offset after its STOP
 * @throws LloydError for an opcode or a global outside the allowed ones, a pickle that is cut off, or one that takes more
 *   than its budget
 */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  world: PickleWorld,
): { value: unknown; end: number } {
  const reader = new PickleReader(bytes, start, world);
  try {
    return { value: reader.run(), end: reader.at };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new LloydError('a pickle must end within its file', 'one that is cut off', 'fetch the file again', {
      cause: error,
    });
  }
}

class PickleReader {
  private readonly view: DataView;
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();

  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
    private readonly world: PickleWorld,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): unknown {
    for (;;) {
      const offset = this.at;
      const opcode = this.u8();
      if (opcode === 0x2e) return this.pop();
      const step = OPCODES[opcode];
      if (!step) {
        throw new LloydError(
          'a checkpoint may use only the pickle opcodes of a state dict',
          `0x${opcode.toString(16)} at byte ${offset}`,
        );
      }
      step(this);
    }
  }

  /** Moves past a field and returns where it began; the DataView refuses what lies past the end. */
  private skip(byteLength: number): number {
    this.at += byteLength;
    return this.at - byteLength;
  }
  u8 = () => this.view.getUint8(this.skip(1));
  u16 = () => this.view.getUint16(this.skip(2), true);
  i32 = () => this.view.getInt32(this.skip(4), true);
  u32 = () => this.view.getUint32(this.skip(4), true);
  f64 = () => this.view.getFloat64(this.skip(8), false);
  u64 = () => Number(this.view.getBigUint64(this.skip(8), true));

  take(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new RangeError('past the end');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  text(length: number): string {
    const bytes = this.take(length);
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw new LloydError(
        'text of a pickle must be UTF-8',
        `other bytes at ${this.at}`,
        'fetch the file again',
        {
          cause,
        },
      );
    }
  }
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new RangeError('past the end');
    const line = this.text(end - this.at);
    this.at++;
    return line;
  }
  /** A signed little-endian integer of any length, as LONG1 and LONG4 hold. */
  long(length: number): number | bigint {
    check(
      length <= MAX_INTEGER_BYTES,
      `an integer of a checkpoint must take at most ${MAX_INTEGER_BYTES} bytes`,
      length,
      CURE,
    );
    let value = 0n;
    for (const byte of this.take(length).toReversed()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(length * 8, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  protocol(): void {
    const version = this.u8();
    check(version <= HIGHEST_PROTOCOL, `a pickle's protocol must be at most ${HIGHEST_PROTOCOL}`, version);
  }

  push = (value: unknown) => void this.stack.push(value);
  /** Pushes something that takes memory of its own. */
  make(value: unknown, bytes: number): void {
    this.spend(bytes);
    this.push(value);
  }
  tuple = (items: unknown[]) => this.make(Object.freeze(items), COST.array + 8 * items.length);
  dict(pairs: unknown[]): void {
    this.make(new Map(), COST.dict);
    this.setItems(pairs);
  }
  private spend(bytes: number): void {
    this.world.budget.spend(bytes, "a checkpoint's values", CURE);
  }
  pop = () => this.last(1)[0];
  top = () => this.stack.at(-1);
  toMark(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    check(mark >= 0, 'a pickle must mark what it gathers', `no mark at byte ${this.at}`);
    const items = this.stack.splice(mark);
    return items.slice(1);
  }
  last(count: number): unknown[] {
    check(this.stack.length >= count, 'a pickle must not pop an empty stack', `at byte ${this.at}`);
    const items = this.stack.splice(this.stack.length - count);
    check(!items.includes(MARK), 'a pickle must not take a mark for a value', `at byte ${this.at}`);
    return items;
  }

  save(index: number): void {
    check(this.stack.length > 0, 'a pickle must not keep the top of an empty stack', `at byte ${this.at}`);
    this.spend(COST.memo);
    this.memo.set(index, this.top());
  }
  memoize = () => this.save(this.memo.size);
  load(index: number): void {
    check(this.memo.has(index), 'a pickle must fill a memo entry before it reads it', index);
    this.push(this.memo.get(index));
  }

  global(module: unknown, name: unknown): void {
    const named = typeof module === 'string' && typeof name === 'string';
    check(named, 'a pickle must name its globals by text', [module, name]);
    const path = `${module}.${name}`;
    const found = this.world.globals.get(path);
    check(found, 'a checkpoint may hold only tensors in dicts, lists and numbers', path, CURE);
    this.push(found);
  }
  call(): void {
    const [callee, args] = this.last(2) as [PickleGlobal, unknown[]];
    check(
      typeof callee?.call === 'function',
      'a pickle may call only the allowed globals',
      callee?.name ?? callee,
    );
    check(Array.isArray(args), 'a pickle must call with a tuple', args);
    this.push(callee.call(args));
  }
  setItems(pairs: unknown[]): void {
    const dict = this.top();
    check(dict instanceof Map, 'a pickle may set items of dicts only', dict);
    check(pairs.length % 2 === 0, 'a pickle must set keys and values in pairs', pairs.length);
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i];
      const isMutable = key instanceof Map || (Array.isArray(key) && !Object.isFrozen(key));
      check(!isMutable, "a dict's key must be no dict and no list", key);
      this.spend(COST.memo);
      dict.set(key, pairs[i + 1]);
    }
  }
  append(items: unknown[]): void {
    const list = this.top();
    check(Array.isArray(list) && !Object.isFrozen(list), 'a pickle may append to lists only', list);
    for (const item of items) list.push(item);
  }
  /** Attributes, such as a state dict's `_metadata` or a numpy dtype's byte order, carry nothing that is needed here. */
  build(): void {
    this.pop();
    const target = this.top();
    check(
      target instanceof Map || target instanceof Opaque,
      'a pickle may set attributes of dicts only',
      target,
    );
  }
  persistent = () => this.push(this.world.persistentLoad(this.pop()));
}

const OPCODES: Record<number, ((reader: PickleReader) => void) | undefined> = {
  128: (r) => r.protocol(), // PROTO
  149: (r) => void r.u64(), // FRAME
  40: (r) => r.push(MARK), // MARK
  48: (r) => void r.pop(), // POP
  49: (r) => void r.toMark(), // POP_MARK
  78: (r) => r.push(null), // NONE
  136: (r) => r.push(true), // NEWTRUE
  137: (r) => r.push(false), // NEWFALSE
  74: (r) => r.push(r.i32()), // BININT
  75: (r) => r.push(r.u8()), // BININT1
  77: (r) => r.push(r.u16()), // BININT2
  138: (r) => r.push(r.long(r.u8())), // LONG1
  139: (r) => r.push(r.long(r.u32())), // LONG4
  71: (r) => r.push(r.f64()), // BINFLOAT
  84: (r) => r.push(r.text(r.u32())), // BINSTRING
  85: (r) => r.push(r.text(r.u8())), // SHORT_BINSTRING
  88: (r) => r.push(r.text(r.u32())), // BINUNICODE
  140: (r) => r.push(r.text(r.u8())), // SHORT_BINUNICODE
  141: (r) => r.push(r.text(r.u64())), // BINUNICODE8
  66: (r) => r.push(r.take(r.u32())), // BINBYTES
  67: (r) => r.push(r.take(r.u8())), // SHORT_BINBYTES
  41: (r) => r.tuple([]), // EMPTY_TUPLE
  93: (r) => r.make([], COST.array), // EMPTY_LIST
  125: (r) => r.dict([]), // EMPTY_DICT
  116: (r) => r.tuple(r.toMark()), // TUPLE
  108: (r) => r.make(r.toMark(), COST.array), // LIST
  100: (r) => r.dict(r.toMark()), // DICT
  133: (r) => r.tuple(r.last(1)), // TUPLE1
  134: (r) => r.tuple(r.last(2)), // TUPLE2
  135: (r) => r.tuple(r.last(3)), // TUPLE3
  97: (r) => r.append([r.pop()]), // APPEND
  101: (r) => r.append(r.toMark()), // APPENDS
  115: (r) => r.setItems(r.last(2)), // SETITEM
  117: (r) => r.setItems(r.toMark()), // SETITEMS
  113: (r) => r.save(r.u8()), // BINPUT
  114: (r) => r.save(r.u32()), // LONG_BINPUT
  148: (r) => r.memoize(), // MEMOIZE
  104: (r) => r.load(r.u8()), // BINGET
  106: (r) => r.load(r.u32()), // LONG_BINGET
  99: (r) => r.global(r.line(), r.line()), // GLOBAL
  147: (r) => r.global(...(r.last(2) as [unknown, unknown])), // STACK_GLOBAL
  82: (r) => r.call(), // REDUCE
  129: (r) => r.call(), // NEWOBJ
  98: (r) => r.build(), // BUILD
  81: (r) => r.persistent(), // BINPERSID
};
