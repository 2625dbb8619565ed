import {
  compile,
  DeviceLostError,
  isQuantized,
  LloydError,
  type Model,
  type QuantizedModel,
  quantizeModel,
  writeModelFile,
} from 'lloyd';
import { type OnnxTensor, supportedNodes, writeOnnx } from 'lloyd/onnx';
import { numbersOf } from '../../../src/graph/ops/value.ts';
import { compareActivations } from '../../../src/run/activation-errors.ts';
import type { Calls, CheckRequest, FileFormat, OwnRow, OwnRowName } from '../protocol.ts';
import { rowLabel } from '../text.ts';
import type { Context } from './main.ts';
import { median } from './median.ts';
import type { Own, OwnResult } from './own-network.ts';
import { keyOf, makeSamples } from './own-samples.ts';

type Step = Context<'checkNetwork'>;
type Network = Model | QuantizedModel;

/** Runs the network, then quantizes it to each precision and holds every layer against it. */
export async function checkNetwork(request: CheckRequest, context: Step): Promise<{ file: Blob }> {
  const { state, signal, progress } = context;
  const own = openOne(state.own);
  const step = (text: string) => progress({ kind: 'step', text });
  const { samples } = request;
  if (own.samples?.key !== keyOf(samples)) {
    step('Reading the inputs…');
    own.rows.clear();
    const { takes } = own.report;
    own.samples = await makeSamples(own.source, samples, state, { takesPictures: takes.pictures, signal });
  }
  const { shapes } = own.samples;
  const nodes = supportedNodes(own.source, { shapes, batch: 1 });
  progress({ kind: 'nodes', nodes });
  if (nodes.refused.length > 0) {
    const received = `${nodes.refused.length} that don't`;
    throw new LloydError(
      'every node must run here',
      received,
      'cut the network before them, or replace them',
    );
  }
  const names: OwnRowName[] = [own.report.row, ...(isQuantized(own.network) ? [] : request.precisions)];
  for (const name of names) {
    signal.throwIfAborted();
    const known = own.rows.get(name);
    if (!known) {
      const made = name === own.report.row ? await given(own, context) : await coded(own, name, context);
      own.rows.set(name, made);
    }
    progress({ kind: 'row', row: (known ?? own.rows.get(name)!).row });
  }
  return { file: reportOf(own, names, context) };
}

/** A network as a file. */
export async function writeNetwork(
  { row, format }: Calls['writeNetwork']['request'],
  { state }: Context<'writeNetwork'>,
): Promise<{ name: string; file: Blob }> {
  const own = openOne(state.own);
  const found = own.rows.get(row);
  if (!found) throw new LloydError('a network is saved once it has been run', row, 'press Run again');
  const bytes = bytesOf(found.network, format);
  const stem = own.report.name.replace(/\.\w+$/, '');
  const precision = row === own.report.row ? [] : [row.replace('-', '')];
  const written = format === 'safetensors' || format === 'float' ? [] : [format];
  const name = [stem, ...precision, ...written].join('-');
  const file = new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' });
  return { name: `${name}.${format === 'safetensors' ? 'safetensors' : 'onnx'}`, file };
}

function openOne(own: Own | undefined): Own {
  if (!own) throw new LloydError('a network must be open', 'none', 'drop its file');
  return own;
}

/** The network as it came. */
async function given(own: Own, context: Step): Promise<OwnResult> {
  context.progress({ kind: 'step', text: `Running ${rowLabel(own.report.row)}…` });
  const { row, ...result } = await measured(own, own.report.row, own.network, context);
  return { ...result, row: { ...row, fileBytes: own.report.fileBytes } };
}

/** The network at a precision; what is refused of one says nothing of the others. */
async function coded(own: Own, name: OwnRowName, context: Step): Promise<OwnResult> {
  const { state, signal, progress } = context;
  const { source, samples } = own;
  const { feeds } = samples!;
  const label = rowLabel(name);
  try {
    progress({ kind: 'step', text: `Quantizing to ${label}…` });
    const network = await quantized(own, name, context);
    progress({ kind: 'step', text: `Running ${label}…` });
    const result = await measured(own, name, network, context);
    const { layers, outputs } = await compareActivations(state.runtime, source, network, feeds, {
      signal,
      onProgress: (done) =>
        progress({ kind: 'step', text: `Checking ${label}, sample ${done + 1} of ${feeds.length}…` }),
    });
    return { ...result, row: { ...result.row, layers, outputs } };
  } catch (error) {
    if (!(error instanceof LloydError) || error instanceof DeviceLostError) throw error;
    return { row: { ...emptyRow(name), failed: error.message }, network: source, made: {} };
  }
}

function quantized({ source, samples, rows }: Own, name: OwnRowName, { state, signal }: Step) {
  const [method, bits] = name.split('-') as ['kmeans' | 'linear', string];
  const { feeds, shapes } = samples!;
  const others = [...rows.values()].map(({ network }) => network).filter(isQuantized);
  const activations = others.find((other) => other.method === 'linear')?.activations;
  return quantizeModel(state.runtime, source, {
    ...{ method, bits: Number(bits), shapes, signal },
    ...(method === 'linear' && { calibration: feeds, activations }),
  });
}

const emptyRow = (name: OwnRowName): OwnRow => {
  return { name, fileBytes: 0, milliseconds: 0, layers: [], outputs: [], first: [], files: [] };
};

/** How long a network takes, what it makes of the first sample, and what it can be saved as. */
async function measured(
  { samples }: Own,
  name: OwnRowName,
  network: Network,
  { state, signal }: Step,
): Promise<OwnResult> {
  const { feeds, shapes } = samples!;
  const session = await compile(state.runtime, network, { shapes, signal });
  let made: Record<string, OnnxTensor> = {};
  try {
    const milliseconds = await median(async () => {
      made = await session.run(feeds[0], { signal });
    });
    const files = formatsOf(network).map((format) => fileOf(network, format));
    const first = Object.entries(made).map(([output, tensor]) => {
      return { name: output, dims: tensor.dims, values: numbersOf(tensor).slice(0, SHOWN) };
    });
    const fileBytes = files.find(({ format }) => format === 'safetensors')!.fileBytes;
    return { row: { ...emptyRow(name), fileBytes, milliseconds, first, files }, network, made };
  } finally {
    session.destroy();
  }
}

/** Values of an output that the page shows. */
const SHOWN = 6;

/** What a network may be saved as. */
function formatsOf(network: Network): FileFormat[] {
  if (!isQuantized(network)) return ['float', 'safetensors'];
  if (network.method === 'kmeans') return ['codebook', 'safetensors'];
  // ONNX's integers have 8 or 4 bits, its operators on codes take 8.
  const widths = [...network.layers.values()].map(({ bits }) => bits);
  const onnx: FileFormat[] = widths.every((bits) => bits === 8)
    ? ['qdq', 'qoperator']
    : widths.every((bits) => bits === 8 || bits === 4)
      ? ['qdq']
      : [];
  return [...onnx, 'safetensors'];
}

const bytesOf = (network: Network, format: FileFormat) =>
  format === 'safetensors' ? writeModelFile(network) : writeOnnx(network, { format });

function fileOf(network: Network, format: FileFormat): OwnRow['files'][number] {
  try {
    return { format, fileBytes: bytesOf(network, format).byteLength };
  } catch (error) {
    if (!(error instanceof LloydError)) throw error;
    return { format, fileBytes: 0, refused: error.message };
  }
}

/** All that was measured, with all that the network makes of the first sample. */
function reportOf({ report, samples, rows }: Own, names: readonly OwnRowName[], { state }: Step): Blob {
  const { shapes, what } = samples!;
  const all = {
    adapter: state.runtime.adapter,
    network: report,
    ...{ samples: what, shapes },
    rows: names.map((name) => {
      const { row, made } = rows.get(name)!;
      const { first: _, ...rest } = row;
      const tensors = Object.entries(made).map(([output, tensor]) => {
        return [output, { dtype: tensor.dtype, dims: tensor.dims, data: numbersOf(tensor) }];
      });
      return { ...rest, firstSample: Object.fromEntries(tensors) };
    }),
  };
  return new Blob([JSON.stringify(all)], { type: 'application/json' });
}
