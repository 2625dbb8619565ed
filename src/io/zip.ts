import { Inflate } from 'fflate';
import { quoted } from '../gpu/describe.ts';
import { LloydError } from '../gpu/errors.ts';
import type { Budget } from './budget.ts';
import { crc32 } from './crc32.ts';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
/** In a field of 32 or 16 bits: the value is in the ZIP64 extra field. */
const IN_EXTRA = 0xffffffff;
const IN_EXTRA16 = 0xffff;

const CURE = 'fetch the file again';
/** Compressed bytes that go to the decoder at once: with deflate's ratio of at most 1,032, 17 MB come back. */
const INFLATE_STEP = 16384;

interface Entry {
  name: string;
  compressed: boolean;
  crc: number;
  /** Bytes in the archive, and of the file. */
  size: number;
  fileBytes: number;
  /** Where its local header begins. */
  at: number;
}

/**
 * The files of a zip archive, read when they are asked for. The directory is checked as a whole before: entries lie
 * inside the archive, do not overlap, have names of their own, and each local header agrees with the directory.
 *
 * Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3 (ZIP64); stored and deflated entries.
 */
export class ZipArchive {
  private readonly view: DataView;
  private readonly entries = new Map<string, Entry & { data: number }>();

  /**
   * @param bytes the whole archive
   * @param budget what inflating its entries may take
   * @param what the file that it is, for messages
   * @throws LloydError for an archive that breaks the format's rules, is encrypted or in several parts
   */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly budget: Budget,
    private readonly what = 'a checkpoint',
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { count, start, end } = this.readEnd();
    const entries: Entry[] = [];
    let at = start;
    for (let i = 0; i < count; i++) {
      const { entry, next } = this.readDirectoryEntry(at, end);
      entries.push(entry);
      at = next;
    }
    this.rule(
      at === end,
      `the directory must have the ${count} entries that it counts`,
      `${end - at} bytes left over`,
    );
    let free = 0;
    for (const entry of entries.sort((a, b) => a.at - b.at)) {
      const data = this.checkLocal(entry, free, start);
      this.rule(!this.entries.has(entry.name), 'entries must have names of their own', entry.name);
      this.entries.set(entry.name, { ...entry, data });
      free = data + entry.size;
    }
  }

  /** Names in the order in which the entries lie in the archive. */
  get names(): string[] {
    return [...this.entries.keys()];
  }

  /**
   * An entry's bytes: a view of the archive where it is stored, new memory where it is deflated.
   *
   * @throws LloydError where its checksum or size is another, or inflating it takes more than the budget
   */
  read(name: string): Uint8Array | undefined {
    const entry = this.entries.get(name);
    if (!entry) return undefined;
    const packed = this.bytes.subarray(entry.data, entry.data + entry.size);
    const data = entry.compressed ? this.inflate(entry, packed) : packed;
    // PyTorch leaves the checksum out under torch.serialization.set_crc32_options(False) and writes 0.
    const summed = entry.crc !== 0 || entry.compressed;
    this.rule(
      !summed || crc32(data) === entry.crc,
      `${quoted(name)} must have the checksum that the directory says`,
      summed ? `another than ${entry.crc.toString(16)}` : '',
    );
    return data;
  }

  private inflate({ name, fileBytes }: Entry, packed: Uint8Array): Uint8Array {
    this.budget.spend(fileBytes, `${this.what}’s inflated entries`, 'save it again without compression');
    const data = new Uint8Array(fileBytes);
    let filled = 0;
    const decoder = new Inflate((chunk) => {
      this.rule(
        filled + chunk.length <= fileBytes,
        `${quoted(name)} must inflate to ${fileBytes} bytes`,
        'more',
      );
      data.set(chunk, filled);
      filled += chunk.length;
    });
    try {
      for (let at = 0; at === 0 || at < packed.length; at += INFLATE_STEP) {
        decoder.push(packed.subarray(at, at + INFLATE_STEP), at + INFLATE_STEP >= packed.length);
      }
    } catch (cause) {
      if (cause instanceof LloydError) throw cause;
      throw this.broken(`${quoted(name)} must be deflated data`, (cause as Error).message, { cause });
    }
    this.rule(filled === fileBytes, `${quoted(name)} must inflate to ${fileBytes} bytes`, filled);
    return data;
  }

  /** Where the directory lies and how many entries it has, from the record at the archive's end. */
  private readEnd(): { count: number; start: number; end: number } {
    const { view } = this;
    let at = view.byteLength - 22;
    const lowest = Math.max(0, at - 0xffff);
    // The record ends with a comment of any length up to 64 KiB, which must reach the archive's last byte.
    while (
      at >= lowest &&
      !(view.getUint32(at, true) === END && at + 22 + view.getUint16(at + 20, true) === view.byteLength)
    )
      at--;
    this.rule(at >= lowest, 'it must end with a directory', 'none');
    const inOne = view.getUint16(at + 4, true) === 0 && view.getUint16(at + 6, true) === 0;
    this.rule(inOne, 'it must be in one part', 'several');
    let count = view.getUint16(at + 10, true);
    let size = view.getUint32(at + 12, true);
    let start = view.getUint32(at + 16, true);
    this.rule(count === view.getUint16(at + 8, true), 'its directory must be in one part', 'several');
    let end = at;
    if (at >= 20 && view.getUint32(at - 20, true) === LOCATOR64) {
      end = this.u64(at - 20 + 8);
      const whole = end + 56 <= at - 20 && view.getUint32(end, true) === END64;
      this.rule(
        whole && end + 12 + this.u64(end + 4) === at - 20,
        'its ZIP64 record must lie before its locator',
        end,
      );
      const narrow = [count, size, start];
      const wide = [this.u64(end + 32), this.u64(end + 40), this.u64(end + 48)];
      const agree = narrow.every((v, i) => v === wide[i] || v === (i === 0 ? IN_EXTRA16 : IN_EXTRA));
      this.rule(agree, 'its ZIP64 record must agree with the one at its end', wide);
      [count, size, start] = wide;
    }
    this.rule(start + size === end, 'its directory must lie before the record at its end', start + size);
    return { count, start, end };
  }

  private readDirectoryEntry(at: number, end: number): { entry: Entry; next: number } {
    const { view } = this;
    this.rule(
      at + 46 <= end && view.getUint32(at, true) === CENTRAL,
      'each directory entry must be whole',
      `byte ${at}`,
    );
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const next = at + 46 + nameBytes + extraBytes + view.getUint16(at + 32, true);
    this.rule(next <= end, 'each directory entry must be whole', `byte ${at}`);
    const name = this.decode(this.bytes.subarray(at + 46, at + 46 + nameBytes));
    const method = view.getUint16(at + 10, true);
    this.rule(
      (view.getUint16(at + 8, true) & 1) === 0,
      `${quoted(name)} must not be encrypted`,
      'an encrypted entry',
    );
    this.rule(method === 0 || method === 8, `${quoted(name)} must be stored or deflated`, `method ${method}`);
    // ZIP64: the fields that do not fit are in the extra field, in this order and only those.
    const [fileBytes, size, offset] = this.wide(at + 46 + nameBytes, extraBytes, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ]);
    this.rule(method === 8 || size === fileBytes, `${quoted(name)} must be stored in its own size`, [
      size,
      fileBytes,
    ]);
    const entry = {
      name,
      compressed: method === 8,
      crc: view.getUint32(at + 16, true),
      size,
      fileBytes,
      at: offset,
    };
    return { entry, next };
  }

  private wide(at: number, byteLength: number, fields: number[]): number[] {
    if (!fields.includes(IN_EXTRA)) return fields;
    const end = at + byteLength;
    while (at + 4 <= end && this.view.getUint16(at, true) !== 1) at += 4 + this.view.getUint16(at + 2, true);
    let value = at + 4;
    const last = at + 4 <= end ? Math.min(end, value + this.view.getUint16(at + 2, true)) : value;
    return fields.map((field) => {
      if (field !== IN_EXTRA) return field;
      this.rule(value + 8 <= last, 'a size past 4 GiB must be in the ZIP64 field', 'no such field');
      value += 8;
      return this.u64(value - 8);
    });
  }

  /** Checks an entry's local header and returns where its data begins. */
  private checkLocal({ name, at, size, compressed }: Entry, free: number, limit: number): number {
    const { view } = this;
    const entry = quoted(name);
    this.rule(at >= free, `${entry} must not overlap the entry before it`, `byte ${at}`);
    this.rule(
      at + 30 <= limit && view.getUint32(at, true) === LOCAL,
      `${entry} must have a header`,
      `byte ${at}`,
    );
    const nameBytes = view.getUint16(at + 26, true);
    const data = at + 30 + nameBytes + view.getUint16(at + 28, true);
    this.rule(
      data + size <= limit,
      `${entry} must end before the directory`,
      `byte ${data + size} of ${limit}`,
    );
    const own = this.decode(this.bytes.subarray(at + 30, at + 30 + nameBytes));
    this.rule(own === name, `${entry} must have that name in its own header`, own);
    this.rule(view.getUint16(at + 8, true) === (compressed ? 8 : 0), `${entry} must have one method`, 'two');
    return data;
  }

  private u64(at: number): number {
    const value = Number(this.view.getBigUint64(at, true));
    this.rule(Number.isSafeInteger(value), 'its sizes must be below 2^53', value);
    return value;
  }

  private decode(name: Uint8Array): string {
    try {
      return decoder.decode(name);
    } catch (cause) {
      throw this.broken('its names must be UTF-8', 'another encoding', { cause });
    }
  }

  private broken(detail: string, received: unknown, options?: ErrorOptions): LloydError {
    return new LloydError(`${this.what} must be a whole zip archive: ${detail}`, received, CURE, options);
  }

  private rule(condition: unknown, detail: string, received: unknown): asserts condition {
    if (!condition) throw this.broken(detail, received);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
