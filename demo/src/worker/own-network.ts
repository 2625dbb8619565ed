import {
  type GraphModel,
  isQuantized,
  LloydError,
  type Model,
  modelFileBytes,
  type QuantizedModel,
  readModelFile,
} from 'lloyd';
import { type OnnxTensor, readOnnx, supportedNodes, writeOnnx } from 'lloyd/onnx';
import { toGraphModel } from '../../../src/model/translate.ts';
import { asItRuns } from '../../../src/onnx/as-it-runs.ts';
import type { Calls, OwnNetwork, OwnRow, OwnRowName } from '../protocol.ts';
import type { Context } from './main.ts';
import type { OwnSamples } from './own-samples.ts';
import type { State } from './state.ts';

/** What the worker holds of a network that was given to the page. */
export interface Own {
  report: OwnNetwork;
  network: Model | QuantizedModel;
  /** The same in ONNX's operators; what a quantized file was quantized from. */
  source: GraphModel;
  samples?: OwnSamples;
  /** Of these samples, by name; what a lost device interrupts goes on after them. */
  rows: Map<OwnRowName, OwnResult>;
}

/** A network at one precision. */
export interface OwnResult {
  row: OwnRow;
  network: Model | QuantizedModel;
  /** What it makes of the first sample. */
  made: Readonly<Record<string, OnnxTensor>>;
}

/** Reads a network, and says what of it runs here. */
export async function openNetwork(
  { files }: Calls['openNetwork']['request'],
  { state }: Context<'openNetwork'>,
): Promise<OwnNetwork> {
  state.own = undefined;
  const { name, fileBytes, network: given } = files ? await readFiles(state, files) : pageNetwork(state);
  const network = isQuantized(given) ? given : asItRuns(toGraphModel(given));
  const source = toGraphModel(isQuantized(network) ? network.model : network);
  const { graph, parameters } = source;
  let weights = 0;
  for (const { data } of parameters.values()) weights += data.length;
  const report: OwnNetwork = {
    ...{ name, fileBytes, weights },
    row: isQuantized(network) ? `${network.method}-${network.bits}` : 'fp32',
    nodes: supportedNodes(source),
    ...{ inputs: graph.inputs, outputs: graph.outputs },
    takes: taken(graph.inputs, state),
  };
  state.own = { report, network, source, rows: new Map() };
  return report;
}

interface Read {
  name: string;
  fileBytes: number;
  network: Model | QuantizedModel;
}

/** The network that the other panels show, as if it had come in a file. */
function pageNetwork({ model }: State): Read {
  const network = readOnnx(writeOnnx(model));
  return { name: 'vgg-cifar10', fileBytes: modelFileBytes(model), network };
}

async function readFiles({ runtime }: State, files: readonly File[]): Promise<Read> {
  const ending = (pattern: RegExp) => files.filter(({ name }) => pattern.test(name));
  const [file, ...others] = ending(/\.(onnx|safetensors|json)$/i);
  const names = files.map(({ name }) => name).join(', ');
  if (!file || others.length > 0)
    throw new LloydError(
      'a network is one .onnx, .safetensors or model.json, with the files of its weights',
      names,
      'drop one network at a time',
    );
  const bytes = new Uint8Array(await file.arrayBuffer());
  const beside = new Map(files.filter((each) => each !== file).map((each) => [each.name, each]));
  let fileBytes = bytes.byteLength;
  /** By its name alone: what is dropped has lost its folder. */
  const companion = async (location: string) => {
    const found = beside.get(location.split('/').at(-1)!);
    if (!found) throw new LloydError(`its weights lie in ${location} too`, names, 'drop both files together');
    fileBytes += found.size;
    return new Uint8Array(await found.arrayBuffer());
  };
  const read = async (): Promise<Model | QuantizedModel> => {
    if (/\.onnx$/i.test(file.name)) return readOnnx(bytes, { externalData: companion });
    if (/\.safetensors$/i.test(file.name)) return readModelFile(bytes);
    // tfjs is three times the page: it loads with the first network of its own.
    return (await import('./tfjs-model.ts')).readTfjs(runtime, bytes, companion);
  };
  try {
    const network = await read();
    return { name: file.name, fileBytes, network };
  } catch (error) {
    if (!(error instanceof LloydError)) throw error;
    throw new LloydError(`${file.name}: ${error.rule}`, error.received, error.cure, { cause: error });
  }
}

/** Whether a picture may be the only input; with CIFAR-10's size, one of the page's own. */
function taken(inputs: OwnNetwork['inputs'], { calibration, test }: State): OwnNetwork['takes'] {
  const [{ dtype, shape } = { dtype: 'bool', shape: [] }] = inputs;
  const channels = (dim: number | string) => typeof dim === 'string' || [1, 3, 4].includes(dim);
  const pictures =
    inputs.length === 1 &&
    shape.length === 4 &&
    ['float32', 'float16', 'uint8'].includes(dtype) &&
    (channels(shape[1]) || channels(shape[3]));
  const fits = [
    [3, 32, 32],
    [32, 32, 3],
  ].some((dims) => dims.every((size, i) => typeof shape[i + 1] === 'string' || shape[i + 1] === size));
  return { pictures, cifar10: pictures && fits && calibration.length + test.count > 0 };
}
