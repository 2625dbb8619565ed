import type { Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { SURE_TEXTURE_BYTES } from '../gpu/texels.ts';
import { DEPTHWISE_VECTORS, isAligned, type WeightShape } from './weight-layout.ts';

/**
 * How a convolution that keeps its sums in registers reads and holds: `plain` (`conv2d`, `conv2d-int8`), `unrolled`
 * without private arrays, `broadcast` with weights loaded once a subgroup, `winograd` with a third of the products less,
 * `depthwise` with a filter of its own for each channel.
 */
export type ConvVariant = Int8Variant | 'unrolled-broadcast';
/** Those that int8 convolutions have. */
export type Int8Variant = 'plain' | 'unrolled' | 'broadcast' | 'winograd' | 'depthwise';

/** Tile shape of a convolution and the specialization that says so. */
export interface ConvTile<Variant extends ConvVariant = ConvVariant> {
  tileVectors: number;
  specialization: Specialization;
  variant: Variant;
}

type Adapter = Pick<Runtime, 'adapter'>;

/** Where a convolution's windows lie; a whole layer's parameters will do. */
export interface ConvPlane {
  inputHeight: number;
  inputWidth: number;
  outputHeight: number;
  outputWidth: number;
  strideHeight: number;
  strideWidth: number;
  dilationWidth: number;
  pixelCount: number;
}

/**
 * The tile an adapter gives a convolution over `pixelCount` pixels before any tuning.
 *
 * @param shape A group that is no whole number of tiles makes the convolution dense, so groups get tiles that divide.
 * @param plane without it, or where it does not fit, there is no Winograd
 */
export function chooseTile(
  runtime: Adapter,
  pixelCount: number,
  shape: WeightShape,
  int8: true,
  plane?: ConvPlane,
): ConvTile<Int8Variant>;
export function chooseTile(
  runtime: Adapter,
  pixelCount: number,
  shape: WeightShape,
  int8: boolean,
  plane?: ConvPlane,
): ConvTile;
export function chooseTile(
  runtime: Adapter,
  pixelCount: number,
  shape: WeightShape,
  int8: boolean,
  plane?: ConvPlane,
): ConvTile {
  const channels = shape.outChannels / shape.groups;
  if (runtime.adapter.software === 'swiftshader') {
    const shared = !int8 && runtime.adapter.subgroupSize >= 4 && channels > 8 && isAligned(shape, 4);
    const variant = shared ? 'unrolled-broadcast' : 'unrolled';
    return { tileVectors: shared ? 4 : 2, specialization: { WORKGROUP_SIZE: 8 }, variant };
  }
  const widest = channels > 16 ? 8 : channels > 8 ? 4 : channels > 4 ? 2 : 1;
  const divides = (vectors: number) => shape.groups === 1 || channels % (vectors * 4) === 0;
  const fitting = [8, 4, 2, 1].filter((vectors) => vectors <= widest && divides(vectors));
  const lanes = convLanes(runtime, shape, int8);
  // Fewer pixels would be a single block of eight. Two of a workgroup's eight blocks are as fast as conv2d-broadcast, and
  // a network has one pipeline less.
  if (plane && pixelCount >= 8 * 2 && fitsWinograd(runtime, shape, plane, int8)) {
    return winogradTile(lanes, 8);
  }
  const shared = fitting.find((vectors) => vectors >= 4 && vectors <= lanes);
  const tile = (variant: ConvVariant, tileVectors: number, pixels: number): ConvTile => {
    // Fewer pixels a thread once the batch can't fill the lanes, so that small layers still use every core.
    const tilePixels = pixelCount >= 8 * 16 ? pixels : 4;
    // A subgroup's threads for the int8 kernels that take longest to compile: layers of any size then share them.
    const full = !int8 ? 64 : variant === 'plain' ? 16 : 8;
    const specialization: Specialization = {
      TILE_PIXELS: `${tilePixels}u`,
      TILE_VECTORS: `${tileVectors}u`,
      WORKGROUP_SIZE: pixelCount >= tilePixels * full ? full : 8,
    };
    if (variant === 'broadcast') specialization.LANES = `${lanes}u`;
    return { tileVectors, specialization, variant };
  };
  if (shared) return tile('broadcast', shared, int8 ? 8 : 4);
  return tile('plain', fitting.find((vectors) => vectors <= 4) ?? Math.min(widest, 4), 8);
}

/**
 * The tile of `depthwise-conv2d` and `depthwise-conv2d-int8`, on every adapter: channels share no input, so there is
 * nothing for workgroup memory or tensor cores to hold.
 */
export function depthwiseTile({ outChannels, groups }: WeightShape): ConvTile<'depthwise'> {
  const specialization = { MULTIPLIER: `${outChannels / groups}u` };
  return { tileVectors: DEPTHWISE_VECTORS, specialization, variant: 'depthwise' };
}

/** Threads of a subgroup that load weights together, in `-broadcast` kernels; 0 where those do not serve. */
export type Lanes = 0 | 4 | 8;

/**
 * The lanes that an adapter's subgroups have for sharing loads: none on adapters where a load of one address by all
 * lanes costs no more than one, or without subgroups.
 */
export function broadcastLanes({ adapter }: Adapter): Lanes {
  if (adapter.software !== 'lavapipe') return 0;
  return adapter.subgroupSize >= 8 ? 8 : adapter.subgroupSize >= 4 ? 4 : 0;
}

/**
 * {@link broadcastLanes} for a convolution: the int8 one reads whole vec4u of a group's input. Only a single group may
 * be padded to that; several with padding in between would be made dense, and have other vec4u.
 */
export function convLanes(runtime: Adapter, shape: WeightShape, int8: boolean): Lanes {
  const { inChannels, groups } = shape;
  const whole = groups === 1 ? Math.ceil(inChannels / 4) % 4 === 0 : inChannels % 16 === 0;
  return int8 && !whole ? 0 : broadcastLanes(runtime);
}

/**
 * The tile of `conv2d-winograd` and `conv2d-int8-winograd`: as many vectors of four output channels as a subgroup has
 * lanes to load them.
 */
export function winogradTile(lanes: Lanes, WORKGROUP_SIZE: number): ConvTile<Int8Variant> {
  const specialization = { LANES: `${lanes}u`, TILE_VECTORS: `${lanes}u`, WORKGROUP_SIZE };
  return { tileVectors: lanes, specialization, variant: 'winograd' };
}

/** Products of m1 + m2 are at most 2 x 256 x 384, and their sum must stay below 2^31. */
const MOST_PRODUCTS = 10_922;
/** What a third of the products less is still worth of blocks that hang over an edge. */
const MOST_OVERHANG = 1.25;

/**
 * Whether an adapter can run a convolution by `conv2d-winograd` or `conv2d-int8-winograd`, whose shaders state the
 * rules, and gains by it.
 */
export function fitsWinograd(runtime: Adapter, shape: WeightShape, plane: ConvPlane, int8: boolean): boolean {
  const { outChannels, inChannels, kernelHeight, kernelWidth, groups } = shape;
  const { outputHeight, outputWidth } = plane;
  const channels = outChannels / groups;
  const lanes = convLanes(runtime, shape, int8);
  const images = plane.pixelCount / (outputHeight * outputWidth);
  const pixelBytes = int8 ? inChannels * groups : Math.ceil(inChannels / 4) * groups * 16;
  const bytes = images * plane.inputHeight * plane.inputWidth * pixelBytes;
  const covered = Math.ceil(outputHeight / 2) * Math.ceil(outputWidth / 4) * 8;
  const own = int8
    ? covered === outputHeight * outputWidth && inChannels * kernelHeight < MOST_PRODUCTS
    : covered <= MOST_OVERHANG * outputHeight * outputWidth && isAligned(shape, lanes);
  return (
    lanes > 0 &&
    kernelWidth === 3 &&
    plane.strideHeight === 1 &&
    plane.strideWidth === 1 &&
    plane.dilationWidth === 1 &&
    channels > lanes * 2 &&
    (groups === 1 || channels % (lanes * 4) === 0) &&
    bytes <= SURE_TEXTURE_BYTES &&
    own
  );
}
