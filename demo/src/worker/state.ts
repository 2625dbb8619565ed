import {
  type AdapterReport,
  type CompareRowName,
  compareRowNames,
  createRuntime,
  type DeviceLoss,
  type DeviceLostError,
  type ImageModel,
  isImageModel,
  isQuantized,
  type QuantizedModel,
  quantizeModel,
  type Runtime,
  readModelFile,
} from 'lloyd';
import { CIFAR10_IMAGE_BYTES, type Cifar10Images, parseCifar10 } from 'lloyd/io';
import type { Calls, Opened } from '../protocol.ts';
import type { Context } from './main.ts';
import type { Own } from './own-network.ts';
import type { Compared } from './review.ts';

/** What the worker holds while the page is open. */
export interface State {
  /** Another one after `renew`. */
  runtime: Runtime;
  /** The runtime to go on with after a loss of the device; rejects with the loss where there is none any more. */
  renew(loss: DeviceLostError): Promise<Runtime>;
  model: ImageModel;
  test: Cifar10Images;
  calibration: Uint8Array;
  /** Networks made so far, and the fine-tuned ones, by row name. */
  networks: Map<CompareRowName, QuantizedModel>;
  /** The last comparison's answers. */
  compared: Compared;
  /** The network that was given to the page. */
  own?: Own;
  /** Fetches a fine-tuned network once; null where there is none. */
  trained(name: CompareRowName): Promise<QuantizedModel | null>;
}

interface Manifest {
  weights: string[];
  testImages: number;
  calibrationImages: number;
}

const NO_IMAGES: Cifar10Images = { images: new Uint8Array(), labels: new Uint8Array(), count: 0 };
const STEM = 'vgg-cifar10';

/** Takes a device, then fetches the weights and images. */
export async function open(
  base: string,
  progress: (step: { done: number; total: number }) => void,
  onLost: (why: string) => void,
  onRecovered: (why: string) => void,
): Promise<{ state: State; report: Opened }> {
  const runtime = await createRuntime();
  let renewed: Promise<Runtime> | undefined;
  let lostAgain = false;
  const file = (path: string) => fetchBytes(new URL(path, base));
  const manifest: Manifest = JSON.parse(new TextDecoder().decode(await file('data/manifest.json')));
  const bytes = await fetchBytes(new URL(`weights/${STEM}.safetensors`, base), progress);
  const model = readModelFile(bytes);
  if (isQuantized(model) || !isImageModel(model))
    throw new Error(`weights/${STEM}.safetensors must hold the fp32 network`);
  const parse = async (count: number, path: string) => (count ? parseCifar10(await file(path)) : NO_IMAGES);
  const test = await parse(manifest.testImages, 'data/test-images.bin');
  const calibration = await parse(manifest.calibrationImages, 'data/calibration-images.bin');
  const networks = new Map<CompareRowName, QuantizedModel>();
  const trained = compareRowNames.filter(
    (name) => name.endsWith('-qat') && manifest.weights.includes(trainedFile(name)),
  );
  const state: State = {
    runtime,
    async renew(loss) {
      await runtime.lost;
      const next = await renewed;
      if (!next || lostAgain) throw loss;
      return next;
    },
    model,
    test,
    calibration: calibration.images,
    networks,
    compared: { images: 0, logits: new Map() },
    async trained(name) {
      const known = networks.get(name);
      if (known || !trained.includes(name)) return known ?? null;
      const network = readModelFile(await file(`weights/${trainedFile(name)}`));
      if (!isQuantized(network)) return null;
      networks.set(name, network);
      return network;
    },
  };
  // The first loss is made good at once, also while nothing runs; a second one says that something else is wrong.
  runtime.lost.then((first) => {
    renewed = createRuntime().then((next) => {
      state.runtime = next;
      next.lost.then((second) => {
        lostAgain = true;
        onLost(wordsOf(second));
      });
      onRecovered(wordsOf(first));
      return next;
    });
    renewed.catch(({ message }: Error) => onLost(message));
  });
  return { state, report: { ...describe(state, runtime.adapter), trained } };
}

const wordsOf = ({ message, reason }: DeviceLoss) => message || reason;

/** `vgg-cifar10-kmeans4-qat.safetensors` for `kmeans-4-qat`. */
function trainedFile(name: CompareRowName): string {
  const [method, bits] = name.split('-');
  return `${STEM}-${method}${bits}-qat.safetensors`;
}

function describe({ model, test, calibration }: State, adapter: AdapterReport): Omit<Opened, 'trained'> {
  const layers = model.graph.nodes
    .filter(({ op }) => op === 'conv2d' || op === 'linear')
    .map(({ name }) => {
      const { dims } = model.parameters.get(`${name}.weight`)!;
      return { name, dims, weights: dims.reduce((a, b) => a * b, 1) };
    });
  const calibrationImages = calibration.length / CIFAR10_IMAGE_BYTES;
  return { adapter: { ...adapter }, layers, testImages: test.count, calibrationImages };
}

/** The network of a row, quantized on first use. */
export async function networkOf(state: State, name: CompareRowName): Promise<ImageModel | QuantizedModel> {
  if (name === 'fp32') return state.model;
  const known = await state.trained(name);
  if (known) return known;
  if (name.endsWith('-qat')) throw new Error(`${name} has not been trained`);
  const [method, bits] = name.split('-');
  if (method === 'linear' && calibrationOf(state).length === 0)
    throw new Error('linear precisions need images to fix activation ranges: drop a CIFAR-10 batch file');
  const others = [...state.networks].find(([row]) => /^linear-\d$/.test(row))?.[1];
  const network = await quantizeModel(state.runtime, state.model, {
    method: method as 'kmeans' | 'linear',
    bits: Number(bits),
    calibration: calibrationOf(state),
    activations: others?.activations,
  });
  state.networks.set(name, network);
  return network;
}

/** The first training images: fewer on a software adapter, where each takes a good part of a second. */
export function calibrationOf({ runtime, calibration, test }: State, count?: number): Uint8Array {
  const wanted = count ?? (runtime.adapter.profile === 'cpu' ? 8 : 64);
  return (calibration.length ? calibration : test.images).subarray(0, wanted * CIFAR10_IMAGE_BYTES);
}

/** Replaces the test images by those of a CIFAR-10 batch file. */
export async function useImages({ file }: { file: File }, { state }: Context<'useImages'>) {
  const test = parseCifar10(new Uint8Array(await file.arrayBuffer()));
  if (test.count === 0) throw new Error('it holds no image');
  state.test = test;
  // Without training images these networks' activation ranges were those of the images that go.
  if (state.calibration.length === 0) {
    for (const name of state.networks.keys()) if (/^linear-\d$/.test(name)) state.networks.delete(name);
  }
  state.compared = { images: 0, logits: new Map() };
  return { images: test.count };
}

async function fetchBytes(
  url: URL,
  progress?: (step: Calls['open']['progress']) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok || !response.body)
    throw new Error(`${url.pathname} could not be fetched: ${response.status}`);
  const total = Number(response.headers.get('content-length')) || 0;
  const parts: Uint8Array[] = [];
  let done = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    done += part.value.length;
    progress?.({ done, total: Math.max(total, done) });
  }
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
