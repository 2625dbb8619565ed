import type { Runtime } from '../../src/gpu/runtime.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { supportedNodes } from '../../src/onnx/supported-nodes.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { modelFileBytes } from '../../src/run/file.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { nameOutputs } from '../../src/tfjs/name-outputs.ts';
import { checkSameAdapter } from '../peers/ort.ts';
import { startWebgpu } from '../peers/tfjs.ts';
import { interleave, type Timing, timingOf } from '../timing.ts';
import { compileFor, errorOf, holdFloats, MOVED, outputsOf, ROUNDING, type Tensors } from './hold-floats.ts';
import { type OpenedNetwork, type Original, openOrt } from './open.ts';

/** What a precision keeps of the float network's outputs, and what it takes. */
export interface PrecisionRow {
  /** Of the worst output, over all samples, before a softmax that it ends in. */
  sqnrDb: number | null;
  /** Of how many samples the largest value is the same one. */
  agreement: string;
  fileBytes: number;
  gpuWeightBytes: number;
}

/** A row of the README's table of networks. */
export interface NetworkRow {
  network: string;
  nodes: number;
  supported: number;
  /** The largest difference of an output from tfjs's or ONNX Runtime's on the CPU, by the largest value of that output. */
  floatError: number;
  /** Where that is more than rounding: how far the library's own answer moves with its input's last bits. */
  movedError?: number;
  fileBytes: number;
  gpuWeightBytes: number;
  int8: PrecisionRow;
  kmeans4: PrecisionRow;
  /** A sample a run, timed in turn; null, and why, where a peer can't run it. */
  times: Partial<Record<'float' | 'int8' | 'tfjs-webgpu' | 'ort-webgpu', Timing | { reason: string }>>;
}

export interface Measurement {
  samples: readonly OnnxTensor[];
  calibration: readonly OnnxTensor[];
  /** Time it, beside the libraries that can run it on the same adapter. */
  timed?: boolean;
}

/**
 * A network in floats, integers and codebooks: floats against the library that its file is meant for, codes by the
 * noise that they add to ours.
 */
export async function measureNetwork(
  runtime: Runtime,
  name: string,
  opened: OpenedNetwork,
  { samples, calibration, timed = false }: Measurement,
): Promise<NetworkRow> {
  const { model } = opened;
  const [input] = model.graph.inputs;
  const feeds = samples.map((sample): Tensors => ({ [input.name]: sample }));
  const shapes = { [input.name]: samples[0].dims };
  const { total, supported } = supportedNodes(model, { shapes });
  const { error: floatError, moved } = await holdFloats(runtime, opened, feeds);
  const logits = withLogits(model);
  const float = await outputsOf(runtime, logits, feeds);
  const quantized = {
    int8: await quantizeModel(runtime, logits, {
      ...{ method: 'linear', bits: 8, shapes },
      calibration: calibration.map((sample) => ({ [input.name]: sample })),
    }),
    kmeans4: await quantizeModel(runtime, logits, {
      ...{ method: 'kmeans', bits: 4, shapes },
      granularity: { kind: 'perAxis', axis: 0 },
    }),
  };
  const row = async (network: QuantizedModel): Promise<PrecisionRow> => {
    const { outputs, gpuWeightBytes } = await outputsOf(runtime, network, feeds);
    return {
      sqnrDb: leastSqnrDb(outputs, float.outputs),
      agreement: agreementOf(outputs, float.outputs, logits.graph.outputs[0]),
      fileBytes: modelFileBytes(network),
      gpuWeightBytes,
    };
  };
  return {
    network: name,
    nodes: total,
    supported,
    floatError,
    ...(moved !== undefined && { movedError: moved }),
    fileBytes: modelFileBytes(logits),
    gpuWeightBytes: float.gpuWeightBytes,
    int8: await row(quantized.int8),
    kmeans4: await row(quantized.kmeans4),
    times: timed
      ? await timesOf(runtime, opened, quantized.int8, feeds[0], Math.max(ROUNDING, MOVED * (moved ?? 0)))
      : {},
  };
}

/** The network without a softmax that an output ends in: it hides the noise of all but the largest value. */
function withLogits(model: GraphModel): GraphModel {
  const { name, outputs } = model.graph;
  const ends = outputs.map((output) => ({ name: output, value: output }));
  return nameOutputs(model, ends, { name, logits: true, titles: new Map() });
}

function leastSqnrDb(got: readonly Tensors[], want: readonly Tensors[]): number | null {
  const each = Object.keys(want[0]).map((name) => {
    let [signal, noise] = [0, 0];
    for (const [n, { [name]: tensor }] of want.entries()) {
      for (let i = 0; i < tensor.data.length; i++) {
        signal += Number(tensor.data[i]) ** 2;
        noise += (Number(got[n][name].data[i]) - Number(tensor.data[i])) ** 2;
      }
    }
    return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
  });
  const least = Math.min(...each);
  // JSON has no infinity.
  return Number.isFinite(least) ? least : null;
}

/** A network of one score a sample says yes above a half. */
function agreementOf(got: readonly Tensors[], want: readonly Tensors[], name: string): string {
  const best = (tensors: Tensors) => {
    const data = tensors[name].data as Float32Array;
    if (data.length === 1) return Number(data[0] > 0.5);
    return data.reduce((most, value, i) => (value > data[most] ? i : most), 0);
  };
  const same = got.filter((outputs, n) => best(outputs) === best(want[n])).length;
  return `${same}/${got.length}`;
}

async function timesOf(
  runtime: Runtime,
  opened: OpenedNetwork,
  int8: QuantizedModel,
  feed: Tensors,
  alike: number,
): Promise<NetworkRow['times']> {
  const { model } = opened;
  const times: NetworkRow['times'] = {};
  const rivals = new Map<keyof NetworkRow['times'], { run(): Promise<Tensors>; close(): unknown }>();
  for (const [key, network] of Object.entries({ float: model, int8 })) {
    const session = await compileFor(runtime, network, feed);
    rivals.set(key as 'float', { run: () => session.run(feed), close: () => session.destroy() });
  }
  const peers = {
    async 'tfjs-webgpu'() {
      if (opened.format !== 'tfjs') throw new Error('tfjs does not read ONNX');
      await startWebgpu({ runtime });
      return opened.original('webgpu');
    },
    async 'ort-webgpu'() {
      await checkSameAdapter({ runtime });
      return openOrt(opened.bytes ?? writeOnnx(model), 'webgpu');
    },
  };
  for (const [key, open] of Object.entries(peers) as [keyof typeof peers, () => Promise<Original>][]) {
    try {
      const peer = await open();
      rivals.set(key, { run: () => peer.run(feed), close: () => peer.close() });
    } catch (error) {
      times[key] = { reason: (error as Error).message.split('\n')[0] };
    }
  }
  try {
    // The warm-up: shaders are compiled in the first run.
    const float = await rivals.get('float')!.run();
    for (const [key, { run }] of rivals) {
      try {
        const outputs = await run();
        const error = key === 'int8' ? 0 : errorOf(outputs, float, model.graph.outputs);
        if (!(error <= alike)) throw new Error(`it disagrees with our floats by ${error.toExponential(1)}`);
      } catch (error) {
        times[key] = { reason: (error as Error).message.split('\n')[0] };
      }
    }
    const able = [...rivals].filter(([key]) => times[key] === undefined);
    const sampled = await interleave(able.map(([, rival]) => rival));
    for (const [i, [key]] of able.entries()) {
      const { samples, failure } = sampled[i];
      times[key] =
        failure === undefined ? timingOf(samples) : { reason: (failure as Error).message.split('\n')[0] };
    }
  } finally {
    for (const { close } of rivals.values()) await close();
  }
  return times;
}
