import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { check, LloydError } from '../../gpu/errors.ts';
import { Budget } from '../../io/budget.ts';

/** What a message's object takes, whatever the message's bytes: two of them are one, too. */
const MESSAGE_BYTES = 256;
const CURE = 'fetch the file again; it was cut off, damaged or is not ONNX';

/**
 * A file being read, message within message, by one reader. Every message spends from one budget; an error says where
 * in the file it is. Bytes are views of the file.
 */
export class Wire {
  readonly budget: Budget;
  /** Where the message that is read began, and where it ends. */
  start = 0;
  /** How many messages that one is in. */
  depth = 0;
  private end: number;
  private field = 0;
  private type: WireType = WireType.Varint;
  private readonly reader: BinaryReader;

  constructor(private readonly file: Uint8Array) {
    this.budget = new Budget(file.length);
    this.reader = new BinaryReader(file);
    this.end = file.length;
  }

  /**
   * The file's outermost message.
   *
   * @throws LloydError for bytes that are no protobuf, with their place in the file
   */
  outermost<T>(what: string, made: T, visit: (made: T, field: number, wire: Wire) => void): T {
    this.what = what;
    try {
      return this.fields(made, visit);
    } catch (error) {
      if (error instanceof LloydError && error.cure !== undefined) throw error;
      const reason = error instanceof LloydError ? error.rule : (error as Error).message;
      const place = `${reason}, before byte ${Math.min(this.reader.pos, this.file.length)}`;
      throw new LloydError(`${this.what} must be sound protobuf`, place, CURE, { cause: error });
    }
  }

  /** The message within that the field holds; `visit` reads each field's value, or skips it. */
  message<T>(what: string, made: T, visit: (made: T, field: number, wire: Wire) => void): T {
    const length = this.length();
    const { what: outerWhat, start, end } = this;
    this.what = what;
    this.start = this.reader.pos;
    this.end = this.start + length;
    this.depth++;
    this.fields(made, visit);
    this.depth--;
    this.what = outerWhat;
    this.start = start;
    this.end = end;
    return made;
  }

  /** What is read, for errors. */
  private what = '';

  private fields<T>(made: T, visit: (made: T, field: number, wire: Wire) => void): T {
    this.budget.spend(MESSAGE_BYTES, 'an ONNX file’s messages', CURE);
    const { reader, end } = this;
    while (reader.pos < end) {
      const [field, type] = reader.tag();
      this.field = field;
      this.type = type;
      visit(made, field, this);
      check(reader.pos <= end, `field ${field} ends beyond its message`);
    }
    return made;
  }

  skip(): void {
    if (this.type === WireType.LengthDelimited) {
      const length = this.length();
      this.reader.pos += length;
    } else this.reader.skip(this.type, this.field);
  }

  bytes(): Uint8Array {
    const length = this.length();
    const { pos } = this.reader;
    this.reader.pos = pos + length;
    return this.file.subarray(pos, pos + length);
  }

  /** UTF-8, or an error: two names must not become one. */
  text(): string {
    const length = this.length();
    const from = this.reader.pos;
    this.reader.pos = from + length;
    if (length > SHORT) return utf8.decode(this.file.subarray(from, from + length));
    let text = '';
    for (let at = from; at < from + length; at++) {
      const code = this.file[at];
      if (code > 0x7f) return utf8.decode(this.file.subarray(from, from + length));
      text += String.fromCharCode(code);
    }
    return text;
  }

  integer(): bigint {
    this.expect(WireType.Varint);
    return BigInt(this.reader.int64());
  }

  /** An integer of 32 bits: an enumeration, a dtype. */
  small(): number {
    this.expect(WireType.Varint);
    return this.reader.int32();
  }

  float(): number {
    this.expect(WireType.Bit32);
    return this.reader.float();
  }

  /**
   * A repeated number, packed or one by one: both have the same bytes, so that they are kept undecoded.
   *
   * @param into what came before, `Packed.none` at first
   */
  packed(into: Packed, elements: WireType): Packed {
    const made = into === Packed.none ? new Packed() : into;
    const isPacked = this.type === WireType.LengthDelimited;
    const length = isPacked ? this.length() : 0;
    const from = this.reader.pos;
    if (isPacked) this.reader.pos = from + length;
    else this.single(elements);
    made.append(this.file, from, this.reader.pos);
    return made;
  }

  /** The bytes of this message. */
  whole(): Uint8Array {
    return this.file.subarray(this.start, this.end);
  }

  /** Steps over one number; the reader's own `skip` makes a view each time. */
  private single(type: WireType): void {
    this.expect(type);
    if (type === WireType.Varint) while (this.file[this.reader.pos++] > 0x7f);
    else this.reader.pos += type === WireType.Bit32 ? 4 : 8;
    check(this.reader.pos <= this.end, `field ${this.field} ends beyond its message`);
  }

  private length(): number {
    this.expect(WireType.LengthDelimited);
    const before = this.reader.pos;
    const length = this.reader.uint32();
    const { pos } = this.reader;
    // uint32() drops the bits of a longer varint; a length that has them must not become a small one.
    const sound = pos - before < 5 || (pos - before === 5 && this.file[pos - 1] <= 0x0f);
    check(sound && length <= this.end - pos, `field ${this.field} ends beyond its message`);
    return length;
  }

  private expect(type: WireType): void {
    check(
      this.type === type,
      `field ${this.field} must have the wire type ${WireType[type]}, not ${WireType[this.type]}`,
    );
  }
}

/** Bytes that are quicker one by one than through a decoder, or a view. */
const SHORT = 24;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One for all empty fields. */
export const NOTHING = new Uint8Array();

/** Numbers as protobuf packs them: a view of the file where they came in one piece. */
export class Packed {
  /** No numbers: one for all fields that a file leaves out. */
  static readonly none = new Packed();

  private buffer: Uint8Array = NOTHING;
  private length = 0;

  append(file: Uint8Array, from: number, to: number): void {
    const { length } = this;
    this.length += to - from;
    if (length === 0) {
      this.buffer = file.subarray(from, to);
      return;
    }
    // The first piece is a view of the file, full by its length: it is copied before anything is written.
    if (this.length > this.buffer.length) {
      const grown = new Uint8Array(2 * this.length);
      grown.set(this.buffer.subarray(0, length));
      this.buffer = grown;
    }
    if (to - from > SHORT) this.buffer.set(file.subarray(from, to), length);
    else for (let at = from; at < to; at++) this.buffer[length + at - from] = file[at];
  }

  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** How many varints these are. */
  get varintCount(): number {
    let count = 0;
    for (const byte of this.bytes) if (byte < 0x80) count++;
    return count;
  }

  /** Each varint as its low and high 32 bits. */
  varints(visit: (low: number, high: number, index: number) => void): void {
    let [low, high, shift, index] = [0, 0, 0, 0];
    for (const byte of this.bytes) {
      check(shift < 70, 'a varint has at most 10 bytes', undefined, CURE);
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      shift += 7;
      if (byte >= 0x80) continue;
      visit(low, high, index++);
      [low, high, shift] = [0, 0, 0];
    }
    check(shift === 0, 'a varint must end within its field', undefined, CURE);
  }
}

export { WireType };
