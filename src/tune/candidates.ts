import { chooseFloat, type FloatChoice, floatVariants } from '../conv/float-choice.ts';
import {
  chooseInt8,
  type Int8Choice,
  int8Variants,
  type KernelPreference,
  tensorChoice,
} from '../conv/kernel-choice.ts';
import { knownTensorCores } from '../conv/tensor-cores.ts';
import { tensorTiles } from '../conv/tensor-tile.ts';
import {
  type ConvPlane,
  type ConvTile,
  convLanes,
  fitsWinograd,
  type Int8Variant,
  winogradTile,
} from '../conv/tile.ts';
import { gemmShape, splitsFor, tiledTiles } from '../conv/tiled-tile.ts';
import { isAligned, type WeightShape } from '../conv/weight-layout.ts';
import type { Kernel, Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { conv2dInt8TensorKernel } from '../kernels/conv2d-int8-tensor.ts';
import { conv2dInt8TiledKernel } from '../kernels/conv2d-int8-tiled.ts';
import { conv2dTiledKernel } from '../kernels/conv2d-tiled.ts';
import type { Candidate } from './pick.ts';

/** Vectors of four output channels that the kernels of private sums compute a thread; the two unrolled ones have two. */
const UNROLLED_VECTORS = 2;
/** Sums a thread keeps: fewer wait for memory, more do not fit the registers of any adapter seen. */
const [LEAST_SUMS, MOST_SUMS] = [32, 128];

/**
 * Every kernel and tile that can run an int8 convolution here, the library's own choice first and then by how little
 * they differ from it. All of them give the same bits.
 *
 * @param pixelCount output pixels, those inside pool windows included
 * @param preference a family to stay in
 * @param plane where the windows lie; without it there is no Winograd
 * @example
 * int8Candidates(runtime, 32768, shape).map(({ label }) => label); // ['registers TILE_PIXELS=8u ...', ...]
 */
export function int8Candidates(
  runtime: Runtime,
  pixelCount: number,
  shape: WeightShape,
  preference: KernelPreference = 'auto',
  plane?: ConvPlane,
): Candidate<Int8Choice>[] {
  const own = chooseInt8(runtime, pixelCount, shape, preference, { plane });
  if (own.variant === 'depthwise') return ordered(own, [], shape, labelOf);
  const registers = (tile: ConvTile<Int8Variant>): Int8Choice => ({
    family: 'registers',
    splits: 1,
    ...tile,
  });
  const cores = own.family === 'tensor' ? knownTensorCores(runtime.device) : null;
  const choices = [
    ...(cores ? tensorTiles(runtime.device.limits, cores).map((tile) => tensorChoice(cores, tile)) : []),
    // A CPU that plays the GPU runs workgroup memory and barriers several times slower, and a GPU runs private sums
    // several times slower than both: not worth the time to see.
    ...(own.family === 'registers'
      ? [
          ...privateTiles(int8Variants, convLanes(runtime, shape, true), pixelCount, own),
          ...(plane && fitsWinograd(runtime, shape, plane, true)
            ? winogradTiles(runtime, pixelCount, shape)
            : []),
        ].map(registers)
      : []),
    ...(own.family === 'registers' ? [] : tiledChoices(runtime, pixelCount, shape)),
  ];
  return ordered(own, choices, shape, labelOf);
}

/** As {@link int8Candidates}, of a float32 convolution: Winograd's rounds otherwise, the others' sums run in one order. */
export function floatCandidates(
  runtime: Runtime,
  pixelCount: number,
  shape: WeightShape,
  preference: KernelPreference = 'auto',
  plane?: ConvPlane,
): Candidate<FloatChoice>[] {
  const own = chooseFloat(runtime, pixelCount, shape, { kernels: preference, plane });
  if (own.variant === 'depthwise') return ordered(own, [], shape, labelOf);
  const tiles = own.tiled ? tiledTiles(runtime.device.limits, shape, 'f32') : [];
  const choices: FloatChoice[] = [
    ...(own.tiled ? [] : privateTiles(floatVariants, convLanes(runtime, shape, false), pixelCount, own)),
    ...(plane && !own.tiled && fitsWinograd(runtime, shape, plane, false)
      ? winogradTiles(runtime, pixelCount, shape)
      : []),
    ...tiles.map((tile) => chooseFloat(runtime, pixelCount, shape, { kernels: 'tiled', tile })),
  ];
  return ordered(own, choices, shape, labelOf);
}

/**
 * Tiles in registers alone, out of the values that the kernels declare: every tile in workgroups of the default's size,
 * and the default's tile in every size. The two hardly depend on each other, and all pairs would take minutes.
 */
function privateTiles(
  kernels: Readonly<Record<Exclude<Int8Variant, 'winograd' | 'depthwise'>, Kernel>>,
  lanes: number,
  pixelCount: number,
  own: ConvTile,
): ConvTile<Int8Variant>[] {
  const tiles: ConvTile<Int8Variant>[] = [];
  for (const variant of lanes > 0 ? (['plain', 'broadcast'] as const) : (['plain'] as const)) {
    const { constants, overrides } = kernels[variant].declaration;
    const { allowed, default: usualSize } = overrides!.WORKGROUP_SIZE;
    const home = own.variant === variant ? own.specialization : {};
    for (const TILE_PIXELS of constants!.TILE_PIXELS) {
      for (const TILE_VECTORS of constants!.TILE_VECTORS) {
        const [pixels, tileVectors] = [TILE_PIXELS, TILE_VECTORS].map((value) => Number.parseInt(value, 10));
        const sums = pixels * tileVectors * 4;
        if (variant === 'plain' ? sums < LEAST_SUMS || sums > MOST_SUMS : tileVectors > lanes) continue;
        const same = TILE_PIXELS === home.TILE_PIXELS && TILE_VECTORS === home.TILE_VECTORS;
        for (const WORKGROUP_SIZE of allowed!) {
          const usual = WORKGROUP_SIZE === (own.specialization.WORKGROUP_SIZE ?? usualSize);
          if (!(same || usual) || idles(pixels * WORKGROUP_SIZE, pixelCount)) continue;
          const specialization: Specialization = { TILE_PIXELS, TILE_VECTORS, WORKGROUP_SIZE };
          if (variant === 'broadcast') specialization.LANES = `${lanes}u`;
          tiles.push({ tileVectors, specialization, variant });
        }
      }
    }
  }
  for (const WORKGROUP_SIZE of kernels.unrolled.declaration.overrides!.WORKGROUP_SIZE.allowed!) {
    if (idles(4 * WORKGROUP_SIZE, pixelCount)) continue;
    tiles.push({ tileVectors: UNROLLED_VECTORS, specialization: { WORKGROUP_SIZE }, variant: 'unrolled' });
  }
  return tiles;
}

/** Winograd's in workgroups of every size. */
function winogradTiles(runtime: Runtime, pixelCount: number, shape: WeightShape): ConvTile<Int8Variant>[] {
  const { allowed } = int8Variants.winograd.declaration.overrides!.WORKGROUP_SIZE;
  const lanes = convLanes(runtime, shape, true);
  return allowed!.filter((size) => !idles(8 * size, pixelCount)).map((size) => winogradTile(lanes, size));
}

/** Half of a workgroup's pixels or more would be past the last. */
const idles = (workgroupPixels: number, pixelCount: number) =>
  workgroupPixels > 32 && workgroupPixels >= 2 * pixelCount;

/** Tiles in workgroup memory, each unsplit, split as the library would, and twice as often. */
function tiledChoices(runtime: Runtime, pixelCount: number, shape: WeightShape): Int8Choice[] {
  return tiledTiles(runtime.device.limits, shape).flatMap((tile) => {
    const splits = splitsFor(tile, gemmShape(pixelCount, shape, tile.tileVectors));
    return [...new Set([splits, 1, splits * 2])].map((count) =>
      chooseInt8(runtime, pixelCount, shape, 'tiled', { tuned: { tile, splits: count } }),
    );
  });
}

/** Distinct candidates, `own` first, the nearest to it next; groups stay whole tiles where they are. */
function ordered<T extends ConvTile>(
  own: T,
  choices: readonly T[],
  shape: WeightShape,
  label: (choice: T) => string,
): Candidate<T>[] {
  const aligned = isAligned(shape, own.tileVectors);
  const words = (choice: T) => label(choice).split(' ');
  const home = new Set(words(own));
  const distance = (choice: T) => words(choice).filter((word) => !home.has(word)).length;
  const others = choices
    .filter(({ tileVectors }) => !aligned || isAligned(shape, tileVectors))
    .sort((a, b) => distance(a) - distance(b));
  const byLabel = new Map([own, ...others].map((choice) => [label(choice), choice]));
  return Array.from(byLabel, ([name, choice]) => ({ label: name, choice }));
}

/** `registers TILE_PIXELS=8u TILE_VECTORS=4u WORKGROUP_SIZE=16`: all that tells two candidates apart. */
function labelOf(choice: FloatChoice & Partial<Pick<Int8Choice, 'family' | 'splits'>>): string {
  const { family = choice.tiled ? 'tiled' : 'registers', splits = 1, variant, specialization } = choice;
  const values = Object.entries(specialization satisfies Specialization)
    .map(([name, value]) => `${name}=${value}`)
    .sort();
  return [
    variant === 'plain' ? family : variant,
    ...values,
    ...(splits > 1 ? [`splits=${splits}`] : []),
  ].join(' ');
}

let text: string | undefined;

/** Stands for the text of every kernel tuned here: a release that leaves them alone keeps its users' picks. */
export function fingerprint(): string {
  const tiled = [conv2dInt8TensorKernel, conv2dInt8TiledKernel, conv2dTiledKernel] as unknown as Kernel[];
  const kernels = [...Object.values(floatVariants), ...Object.values(int8Variants), ...tiled];
  text ??= fnv1a(kernels.flatMap(({ declaration }) => declaration.wgsl).join('\n'));
  return text;
}

/** The 32-bit hash of Fowler, Noll and Vo: it tells versions of a text apart, nothing more. */
export function fnv1a(value: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}
