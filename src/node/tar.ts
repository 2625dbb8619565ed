import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { check, LloydError } from '../gpu/errors.ts';

const BLOCK = 512;
const FETCH = 'fetch the archive again';

/** A regular file of a tar archive. */
export interface TarFile {
  /** As the archive has it, with forward slashes. */
  path: string;
  mode: number;
  bytes: Buffer;
}

/**
 * The regular files of a tar stream, one in memory at a time. Links, folders and extended headers are passed over.
 *
 * @param stream the archive, already decompressed
 * @param wanted which paths to read; the others are skipped without being gathered
 * @throws LloydError when the archive is cut off, or a header's checksum or a number in it is wrong
 */
export async function* readTar(
  stream: AsyncIterable<Buffer>,
  wanted: (path: string) => boolean = () => true,
): AsyncGenerator<TarFile> {
  const source = new ByteSource(stream);
  try {
    for (;;) {
      const header = await source.read(BLOCK);
      // An archive ends with a block of zeros; one that ends between two files was cut off there.
      if (header === null) throw cutOff();
      if (header.every((byte) => byte === 0)) return;
      checkHeader(header);
      const size = octal(header, 124, 12);
      const prefix = text(header, 257, 5) === 'ustar' ? text(header, 345, 155) : '';
      const path = prefix ? `${prefix}/${text(header, 0, 100)}` : text(header, 0, 100);
      // Before ustar a folder was a file whose name ends in a slash.
      const isFile = (header[156] === 0 || header[156] === 0x30) && !path.endsWith('/');
      const padded = Math.ceil(size / BLOCK) * BLOCK;
      if (!isFile || !wanted(path)) {
        await source.skip(padded);
        continue;
      }
      const bytes = padded === 0 ? Buffer.alloc(0) : await source.read(padded);
      if (bytes === null) throw cutOff();
      yield { path, mode: octal(header, 100, 8), bytes: bytes.subarray(0, size) };
    }
  } finally {
    await source.close();
  }
}

/** Writes a tar stream's files under `folder`; a path that would leave it is refused. */
export async function extractTar(stream: AsyncIterable<Buffer>, folder: string): Promise<void> {
  for await (const { path, mode, bytes } of readTar(stream)) {
    const inside = normalize(path);
    const leaves = inside.split(/[\\/]/).includes('..') || /^([\\/]|[a-z]:)/i.test(inside);
    check(!leaves, 'an archive must stay inside its folder', path);
    check(inside !== '.', 'a file of an archive must have a name', path);
    await mkdir(dirname(join(folder, inside)), { recursive: true });
    await writeFile(join(folder, inside), bytes, { mode: mode & 0o777 });
  }
}

function checkHeader(header: Buffer): void {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : header[i];
  check(sum === octal(header, 148, 8), 'a tar header must have the right checksum', sum, FETCH);
}

function text(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

/** A number as ustar writes it: octal digits, then a space or a NUL. An empty field is 0. */
function octal(header: Buffer, at: number, length: number): number {
  const digits = text(header, at, length).trim();
  check(/^[0-7]*$/.test(digits), 'a number of a tar header must be in octal', digits, FETCH);
  return Number.parseInt(digits || '0', 8);
}

function cutOff(): LloydError {
  return new LloydError('a tar archive must be whole', 'one that is cut off', FETCH);
}

/** Exact reads from a stream of chunks of any size. */
class ByteSource {
  private readonly chunks: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.chunks = stream[Symbol.asyncIterator]();
  }

  /** `length` bytes, or null where the stream has ended before the first of them. */
  async read(length: number): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0; ) {
      if (!(await this.fill())) {
        if (missing === length) return null;
        throw cutOff();
      }
      const part = this.rest.subarray(0, missing);
      this.rest = this.rest.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts, length);
  }

  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) {
      if (!(await this.fill())) throw cutOff();
      const skipped = Math.min(missing, this.rest.length);
      this.rest = this.rest.subarray(skipped);
      missing -= skipped;
    }
  }

  /** Lets a stream that was not read to its end go, and the file or connection behind it. */
  async close(): Promise<void> {
    await this.chunks.return?.();
  }

  private async fill(): Promise<boolean> {
    while (this.rest.length === 0) {
      const { value, done } = await this.chunks.next();
      if (done) return false;
      this.rest = value;
    }
    return true;
  }
}
