import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { check, LloydError } from '../../gpu/errors.ts';
import { Budget } from '../../io/budget.ts';

/** What a message's object takes, whatever the message's bytes: two of them are one, too. */
const MESSAGE_BYTES = 160;
const CURE = 'fetch the file again; it was cut off, damaged or is not ONNX';

/** A file being read: every message spends from one budget, and an error says where in the file it is. */
export class WireFile {
  readonly budget: Budget;

  constructor(private readonly bytes: Uint8Array) {
    this.budget = new Budget(bytes.length);
  }

  /**
   * Reads a message's fields in order; `visit` reads a field's value from the wire, or skips it.
   *
   * @throws LloydError for bytes that are no protobuf, with their place in the file
   */
  read<T>(bytes: Uint8Array, what: string, made: T, visit: (made: T, field: number, wire: Wire) => void): T {
    this.budget.spend(MESSAGE_BYTES, 'an ONNX file’s messages', CURE);
    const wire = new Wire(bytes);
    try {
      while (wire.next()) visit(made, wire.field, wire);
    } catch (error) {
      if (error instanceof LloydError && error.cure !== undefined) throw error;
      const at = bytes.byteOffset - this.bytes.byteOffset + wire.at;
      const reason = error instanceof LloydError ? error.rule : (error as Error).message;
      throw new LloydError(`${what} must be sound protobuf`, `${reason}, before byte ${at}`, CURE, {
        cause: error,
      });
    }
    return made;
  }
}

/** A message's fields, one after the other; values are views of its bytes. */
export class Wire {
  /** The field that `next` came to. */
  field = 0;
  private type: WireType = WireType.Varint;
  private readonly reader: BinaryReader;

  constructor(private readonly buffer: Uint8Array) {
    this.reader = new BinaryReader(buffer);
  }

  get at(): number {
    return Math.min(this.reader.pos, this.buffer.length);
  }

  next(): boolean {
    if (this.reader.pos >= this.reader.len) return false;
    [this.field, this.type] = this.reader.tag();
    return true;
  }

  skip(): void {
    if (this.type === WireType.LengthDelimited) this.bytes();
    else this.reader.skip(this.type, this.field);
  }

  bytes(): Uint8Array {
    this.expect(WireType.LengthDelimited);
    const before = this.reader.pos;
    const length = this.reader.uint32();
    const { pos, len } = this.reader;
    // uint32() drops the bits of a longer varint; a length that has them must not become a small one.
    const sound = pos - before < 5 || (pos - before === 5 && this.buffer[pos - 1] <= 0x0f);
    check(sound && length <= len - pos, `field ${this.field} ends beyond its message`);
    this.reader.pos = pos + length;
    return this.buffer.subarray(pos, pos + length);
  }

  /** UTF-8, or an error: two names must not become one. */
  text(): string {
    return utf8.decode(this.bytes());
  }

  integer(): bigint {
    this.expect(WireType.Varint);
    return BigInt(this.reader.int64());
  }

  /** An integer of 32 bits: an enumeration, a dtype. */
  small(): number {
    return Number(BigInt.asIntN(32, this.integer()));
  }

  float(): number {
    this.expect(WireType.Bit32);
    check(this.reader.len - this.reader.pos >= 4, `field ${this.field} ends beyond its message`);
    return this.reader.float();
  }

  /** A repeated number, packed or one by one: both have the same bytes, so that they are kept undecoded. */
  packed(into: Packed, elements: WireType): void {
    if (this.type === WireType.LengthDelimited) {
      into.append(this.bytes());
      return;
    }
    this.expect(elements);
    into.append(this.reader.skip(elements));
  }

  private expect(type: WireType): void {
    check(
      this.type === type,
      `field ${this.field} must have the wire type ${WireType[type]}, not ${WireType[this.type]}`,
    );
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One for all empty fields: a tensor has five of them. */
export const NOTHING = new Uint8Array();

/** Numbers as protobuf packs them: a view of the file where they came in one piece. */
export class Packed {
  private buffer: Uint8Array = NOTHING;
  private length = 0;

  append(bytes: Uint8Array): void {
    if (this.length === 0) this.buffer = bytes;
    else {
      const { length } = this;
      // The first piece is a view of the file, full by its length: it is copied before anything is written.
      if (length + bytes.length > this.buffer.length) {
        const grown = new Uint8Array(2 * (length + bytes.length));
        grown.set(this.buffer.subarray(0, length));
        this.buffer = grown;
      }
      this.buffer.set(bytes, length);
    }
    this.length += bytes.length;
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
