import { PNG } from 'pngjs';
import { check, LloydError } from '../gpu/errors.ts';
import { type Pixels, pixelsOf } from '../reference/preprocess-image.ts';
import { MOST_PIXELS } from '../run/picture-input.ts';
import type { Ledger } from './ledger.ts';

/** Four bytes a pixel, whatever the file has. */
interface Rgba {
  width: number;
  height: number;
  data: Uint8Array;
}

/**
 * A PNG's or JPEG's pixels in grey, RGB or RGBA; 16 bits become 8. The file's first bytes tell which it is. A JPEG lies as
 * it is stored: what its EXIF says of a turned camera is not looked at, as by most data sets' readers.
 *
 * @throws LloydError for any other file, a damaged one, a JPEG of four inks or more than 8 bits, or too many pixels
 */
export async function readPicture(files: Ledger, path: string, channels: number): Promise<Pixels> {
  const bytes = Buffer.from(await files.read(path));
  const isPng = bytes.length >= 33 && bytes.readUInt32BE(0) === 0x89504e47;
  const isJpeg = bytes.length >= 4 && bytes.readUIntBE(0, 3) === 0xffd8ff;
  check(isPng || isJpeg, 'a picture must be a PNG or JPEG file', path, 'convert it');
  const { width, height, data: rgba } = isPng ? readPng(path, bytes) : await readJpeg(path, bytes);
  return pixelsOf(rgba, width, height, channels);
}

function checkSize(path: string, width: number, height: number): void {
  const count = width * height;
  const rule = `a picture must have 1 to ${MOST_PIXELS} pixels`;
  check(count >= 1 && count <= MOST_PIXELS, rule, `${count} in ${path}`);
}

/** What a decoder throws, as an error that names the file. */
const damaged = (kind: 'PNG' | 'JPEG', path: string, cause: unknown) =>
  new LloydError(
    `a picture must be a whole ${kind} file`,
    `${path} (${(cause as Error).message})`,
    'fetch it again',
    { cause },
  );

function readPng(path: string, bytes: Buffer): Rgba {
  checkSize(path, bytes.readUInt32BE(16), bytes.readUInt32BE(20));
  try {
    return PNG.sync.read(bytes);
  } catch (cause) {
    throw damaged('PNG', path, cause);
  }
}

async function readJpeg(path: string, bytes: Buffer): Promise<Rgba> {
  const frame = jpegFrame(bytes);
  // The decoder makes grey of what is missing.
  if (!frame || bytes.lastIndexOf(Buffer.of(0xff, 0xd9)) < frame.end) {
    throw damaged('JPEG', path, new Error('it ends early'));
  }
  const { width, height, components, bits } = frame;
  check(
    (components === 1 || components === 3) && bits === 8,
    'a JPEG picture must be grey or of three colours, 8 bits each',
    `${path}, ${components} components of ${bits} bits`,
    'convert it to RGB',
  );
  checkSize(path, width, height);
  const { default: jpeg } = await import('jpeg-js');
  try {
    return jpeg.decode(bytes, {
      useTArray: true,
      tolerantDecoding: false,
      // Checked above, by the pixels.
      maxResolutionInMP: Math.ceil(MOST_PIXELS / 1e6),
      maxMemoryUsageInMB: 4096,
    });
  } catch (cause) {
    throw damaged('JPEG', path, cause);
  }
}

/** What a JPEG's frame header says, and where it ends; null where there is none. */
function jpegFrame(bytes: Buffer) {
  const isFrame = (marker: number) =>
    marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    // A marker may be filled up with more of its first byte.
    if (marker === 0xff) {
      at++;
      continue;
    }
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    if (marker === 0xda || marker === 0xd9 || end > bytes.length) return null;
    if (isFrame(marker) && end - at >= 10) {
      const [bits, components] = [bytes[at + 4], bytes[at + 9]];
      return { bits, components, end, height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    }
    at = end;
  }
  return null;
}
