import { stat } from 'node:fs/promises';
import { check, LloydError } from '../gpu/errors.ts';
import { concreteInputs } from '../graph/concrete-inputs.ts';
import type { ShapeOptions, ValueInfo } from '../graph/graph.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { fromWords } from '../graph/ops/value.ts';
import { isNpy, readNpy, readNpz } from '../io/npy.ts';
import { readSafetensors } from '../io/safetensors.ts';
import { float32ToFloat16, type Tensor, toFloat32 } from '../io/tensor.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { toGraphModel } from '../model/translate.ts';
import type { Calibration } from '../run/calibrate.ts';
import { type PictureSettings, pictureInput, spreadOver } from '../run/picture-input.ts';
import type { OptionValue } from './command.ts';
import { loadImages } from './data.ts';
import type { Ledger } from './ledger.ts';
import { integer, parseNumber, shapeOptions, TRAINING_IMAGES, text } from './options.ts';
import { listPictures, PICTURE_OPTIONS, pictureSettings, readPictures } from './pictures.ts';

/** One run's inputs, by name. */
export type Feed = Readonly<Record<string, OnnxTensor>>;

/** What a network is run on. */
export interface Samples {
  /** For people: `32 pictures of photos/`. */
  what: string;
  /** As `quantizeModel` takes it. */
  calibration: Calibration;
  /** Inputs by name; images a batch at a time. */
  feeds: readonly Feed[];
  /** Sizes of the inputs' symbols, as the samples have them. */
  shapes: ShapeOptions;
}

/** Where samples come from, before anything is read. */
export interface SampleSettings {
  /** Undefined where nothing was said. */
  from?: { images: number } | { path: string };
  most: number;
  /** Values of the pictures that are run at once, where the network leaves their number open. */
  batchValues: number;
  pictures: PictureSettings;
  shapes: ShapeOptions;
}

/**
 * @param most samples of a folder or file, unless `--samples` says so
 * @throws LloydError for an option that is wrong by itself
 */
export function sampleSettings(
  options: Readonly<Record<string, OptionValue>>,
  most: number,
  batchValues = 2 ** 21,
): SampleSettings {
  const { calibration } = options;
  const path = text(calibration);
  const isCount = path === undefined || parseNumber(calibration) !== undefined;
  const images = isCount ? integer('--calibration', calibration, 1, TRAINING_IMAGES) : undefined;
  const limit = integer('--samples', options.samples);
  const from = images === undefined ? undefined : { images: Math.min(images, limit ?? images) };
  return {
    from: from ?? (path === undefined ? undefined : { path }),
    most: limit ?? most,
    batchValues,
    pictures: pictureSettings(options),
    shapes: shapeOptions(options.shape),
  };
}

/** As many as fit, 32 at most. */
const picturesAtOnce = ({ batchValues }: SampleSettings, perPicture: number, count: number) =>
  Math.max(1, Math.min(32, count, Math.floor(batchValues / perPicture)));

/** @throws LloydError for sizes of what is neither an input nor one of its symbols, or that its shape contradicts */
export function checkShapes(model: Model, shapes: ShapeOptions): void {
  concreteInputs(toGraphModel(model).graph, { shapes, batch: 1, assume: 1 });
}

/** CIFAR-10's images. */
const SIDE = 32;

/**
 * Reads samples for a network.
 *
 * @param defaultImages CIFAR-10 images where nothing else was said, for a network that takes them
 * @throws LloydError for files that are no samples, or samples that don't fit the network's inputs
 */
export async function loadSamples(
  files: Ledger,
  model: Model,
  settings: SampleSettings,
  defaultImages: number,
): Promise<Samples> {
  const { graph } = toGraphModel(model);
  const { from = { images: defaultImages } } = settings;
  if ('images' in from) {
    const { images, ...samples } = await cifarSamples(files, graph.inputs, settings, from.images);
    // A network of images takes them as they lie, 32 at a time.
    return isImageModel(model) ? { ...samples, calibration: images } : samples;
  }
  const { path } = from;
  const found = await stat(path).catch(() => null);
  check(
    found,
    '--calibration must be a number of CIFAR-10 training images, a folder of pictures, or a .npz, .npy or .safetensors file',
    path,
    'check the path',
  );
  if (found.isDirectory()) return pictureSamples(files, graph.inputs, settings, path);
  const tensors = readTensors(path, await files.read(path), graph.inputs);
  const all = spreadOver(splitTensors(graph.inputs, tensors, settings.shapes), settings.most);
  return {
    what: `${all.length} sample${all.length === 1 ? '' : 's'} of ${path}`,
    calibration: all,
    feeds: all,
    shapes: shapesOf(all[0]),
  };
}

const shapesOf = (feed: Feed): ShapeOptions =>
  Object.fromEntries(Object.entries(feed).map(([name, { dims }]) => [name, dims]));

async function cifarSamples(
  files: Ledger,
  inputs: readonly ValueInfo[],
  settings: SampleSettings,
  count: number,
): Promise<Samples & { images: Uint8Array }> {
  const cure = 'pass --calibration FOLDER (of pictures), FILE.npz, FILE.npy or FILE.safetensors';
  const refuse = (cause?: unknown): never => {
    const shown = inputs.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
    throw new LloydError(`CIFAR-10's images are for an input of ${SIDE} x ${SIDE} x 3`, shown, cure, {
      cause,
    });
  };
  const shapes = { ...openSizes(inputs), ...settings.shapes };
  const pictures: PictureSettings = { mean: [0], std: [1], layout: settings.pictures.layout };
  let input: ReturnType<typeof pictureInput>;
  try {
    input = pictureInput(inputs, shapes, pictures, PICTURE_OPTIONS);
  } catch (cause) {
    return refuse(cause);
  }
  const { width, height, channels, dtype, name } = input;
  if (width !== SIDE || height !== SIDE || channels !== 3 || dtype !== 'float32') refuse();
  const { calibration: images } = await loadImages(files, 1, count);
  const perImage = SIDE * SIDE * 3;
  const batch = input.batch ?? picturesAtOnce(settings, perImage, count);
  const feeds = Array.from({ length: Math.ceil(count / batch) }, (_, i): Feed => {
    const data = new Float32Array(batch * perImage);
    for (let n = 0; n < batch; n++) {
      const from = ((i * batch + n) % count) * perImage;
      for (let p = 0; p < perImage; p++) {
        const to = input.layout === 'nhwc' ? p : (p % 3) * SIDE * SIDE + Math.floor(p / 3);
        data[n * perImage + to] = images[from + p] / 255;
      }
    }
    const dims = input.layout === 'nhwc' ? [batch, SIDE, SIDE, 3] : [batch, 3, SIDE, SIDE];
    return { [name]: { dtype: 'float32', dims, data } };
  });
  const what = `${count} CIFAR-10 training image${count === 1 ? '' : 's'}`;
  return { what, images, calibration: feeds, feeds, shapes };
}

/** Every symbol but the first dimension's as CIFAR-10 has it, where the network leaves its size open. */
function openSizes(inputs: readonly ValueInfo[]): ShapeOptions {
  const open = inputs.flatMap(({ shape }) => shape.slice(1).filter((dim) => typeof dim === 'string'));
  return Object.fromEntries(open.map((symbol) => [symbol, SIDE]));
}

async function pictureSamples(
  files: Ledger,
  inputs: readonly ValueInfo[],
  settings: SampleSettings,
  folder: string,
): Promise<Samples> {
  const input = pictureInput(inputs, settings.shapes, settings.pictures, PICTURE_OPTIONS);
  const paths = spreadOver(await listPictures(folder), settings.most);
  const batch =
    input.batch ?? picturesAtOnce(settings, input.width * input.height * input.channels, paths.length);
  const feeds: Feed[] = [];
  for (let first = 0; first < paths.length; first += batch) {
    const own = paths.slice(first, first + batch);
    feeds.push({ [input.name]: await readPictures(files, own, input, batch) });
  }
  return {
    what: `${paths.length} picture${paths.length === 1 ? '' : 's'} of ${folder}`,
    calibration: feeds,
    feeds,
    shapes: shapesOf(feeds[0]),
  };
}

/** The tensors of a file by the names of a network's inputs. */
function readTensors(
  path: string,
  bytes: Uint8Array,
  inputs: readonly ValueInfo[],
): ReadonlyMap<string, Tensor> {
  check(bytes.length > 0, `${path}: a file of tensors must hold some`, 'an empty file', 'save it again');
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  try {
    const tensors: ReadonlyMap<string, Tensor> = isNpy(bytes)
      ? new Map([['', readNpy(bytes)]])
      : isZip
        ? readNpz(bytes)
        : readSafetensors(bytes).tensors;
    const names = inputs.map(({ name }) => name);
    // One array is for the one input, whatever it is called.
    if (tensors.size === 1 && names.length === 1) return new Map([[names[0], [...tensors.values()][0]]]);
    for (const name of names) {
      const had = [...tensors.keys()].filter((key) => key !== '').join(', ') || 'one array';
      check(tensors.has(name), `it must hold a tensor for each input: ${names.join(', ')}`, had);
    }
    return tensors;
  } catch (error) {
    if (!(error instanceof LloydError)) throw error;
    throw new LloydError(`${path}: ${error.rule}`, error.received, error.cure, { cause: error });
  }
}

/**
 * One run's inputs after the other: tensors with a dimension more than the input are lists of inputs, others are cut
 * along the first dimension into as many as the input takes at once. What is there once serves every run.
 */
function splitTensors(
  inputs: readonly ValueInfo[],
  tensors: ReadonlyMap<string, Tensor>,
  shapes: ShapeOptions,
): Feed[] {
  const lists = inputs.map((input) => ({
    input,
    list: splitTensor(input, tensors.get(input.name)!, shapes),
  }));
  const count = Math.max(...lists.map(({ list }) => list.length));
  for (const { input, list } of lists) {
    check(
      list.length === count || list.length === 1,
      `${input.name}: there must be as many samples of every input, ${count}, or one`,
      list.length,
    );
  }
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(lists.map(({ input, list }) => [input.name, list[list.length === 1 ? 0 : i]])),
  );
}

function splitTensor(input: ValueInfo, tensor: Tensor, shapes: ShapeOptions): OnnxTensor[] {
  const { name, shape } = input;
  const given = shapes[name];
  const own = shape.map((dim, i) => {
    if (typeof given === 'object') return given[i];
    const size = typeof dim === 'string' ? shapes[dim] : dim;
    return typeof size === 'number' ? size : undefined;
  });
  const { dims } = tensor;
  const isList = dims.length === shape.length + 1;
  const shown = `[${shape.join(', ')}]`;
  const at = isList ? 1 : 0;
  const fits =
    (isList || dims.length === shape.length) &&
    dims.slice(1).every((size, i) => {
      const wanted = own[i + 1 - at];
      return wanted === undefined || wanted === size;
    });
  check(
    fits && dims.every((size) => size > 0),
    `${name}: tensors must have the input's shape ${shown}, or a dimension more in front`,
    dims,
  );
  const typed = asDtype(input, tensor);
  if (shape.length === 0 && !isList) return [typed];
  const each = isList ? 1 : (own[0] ?? 1);
  check(dims[0] % each === 0, `${name}: the first dimension must be a multiple of ${each}`, dims);
  const size = (each * sizeOf(dims)) / dims[0];
  const part = isList ? dims.slice(1) : [each, ...dims.slice(1)];
  return Array.from(
    { length: dims[0] / each },
    (_, i) => ({ ...typed, dims: part, data: typed.data.slice(i * size, (i + 1) * size) }) as OnnxTensor,
  );
}

const INTEGER_RANGES: Readonly<Record<string, readonly [low: number, high: number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  // Computed as int32.
  int64: [-(2 ** 31), 2 ** 31 - 1],
  bool: [0, 1],
};

/** A tensor in an input's dtype: numbers become floats, whole numbers other whole numbers that hold them. */
function asDtype({ name, dtype }: ValueInfo, tensor: Tensor): OnnxTensor {
  const { dims } = tensor;
  if (tensor.dtype === dtype) return tensor as OnnxTensor;
  if (dtype === 'float32') return { dtype, dims, data: toFloat32(tensor) };
  if (dtype === 'float16') return { dtype, dims, data: float32ToFloat16(toFloat32(tensor)) };
  const range = INTEGER_RANGES[dtype];
  check(range && !/float/.test(tensor.dtype), `${name} must be ${dtype}`, tensor.dtype, 'convert the array');
  const values = Array.from(tensor.data as ArrayLike<number | bigint>, Number);
  const outside = values.find((value) => value < range[0] || value > range[1]);
  check(outside === undefined, `${name} must hold values of ${dtype}`, outside);
  return fromWords(dtype, dims, values);
}
