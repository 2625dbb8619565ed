import { kernels, type Runtime } from 'lloyd';
import { shareDevice, type Tfjs } from 'lloyd/tfjs';
import type { BenchRow, Calls } from '../protocol.ts';
import type { Context } from './main.ts';
import { median } from './median.ts';
import type { State } from './state.ts';
import { vggForward } from './tfjs-vgg.ts';

const COUNT = 1 << 20;

/** The same work by lloyd's kernels and by tfjs, on one device that both share; medians of the wall clock. */
export async function tensorBench(
  _: Calls['tensorBench']['request'],
  { state, signal, progress }: Context<'tensorBench'>,
): Promise<BenchRow[]> {
  const { tf } = await shareDevice(state.runtime);
  const rows: BenchRow[] = [];
  for (const measure of [minMax, quantizeDequantize, vggForward]) {
    signal.throwIfAborted();
    rows.push(await measure(state, tf));
    progress(rows.at(-1)!);
  }
  return rows;
}

/** As the library chooses for itself: a software adapter pays for barriers and has few cores to fill. */
function tuningOf({ adapter }: Runtime) {
  return adapter.profile === 'cpu'
    ? { WORKGROUP_SIZE: 32, slices: 64 }
    : { WORKGROUP_SIZE: 256, slices: 256 };
}

function randomFloats(count: number): Float32Array {
  let seed = 1;
  return Float32Array.from({ length: count }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  });
}

function minMax({ runtime }: State, tf: Tfjs): Promise<BenchRow> {
  return runtime.scope(async (scope) => {
    const values = randomFloats(COUNT);
    const { slices, ...tuning } = tuningOf(runtime);
    const kernel = await kernels.reduceMinMax.create(runtime.device, tuning);
    const ends = () => ({ minimum: scope.empty(slices * 4), maximum: scope.empty(slices * 4) });
    const input = scope.upload(values);
    const first = ends();
    const last = ends();
    const shape = { axisSize: 1, axisStride: COUNT };
    const calls = [
      scope.keep(kernel.bind({ input, ...first }, { count: COUNT, ...shape, slices })),
      ...(['minimum', 'maximum'] as const).map((end) => {
        const output = { minimum: scope.empty(4), maximum: scope.empty(4), [end]: last[end] };
        const params = { count: slices, axisSize: 1, axisStride: slices, slices: 1 };
        return scope.keep(kernel.bind({ input: first[end], ...output }, params));
      }),
    ];
    const lloydMs = await median(async () => {
      runtime.submit(calls);
      await Promise.all([runtime.read(last.minimum, 4), runtime.read(last.maximum, 4)]);
    });
    const x = tf.tensor1d(values);
    const tfjsMs = await median(async () => {
      const [low, high] = tf.tidy(() => [tf.min(x), tf.max(x)]);
      await Promise.all([low.data(), high.data()]);
      tf.dispose([low, high]);
    });
    x.dispose();
    return { name: 'Range of 1,048,576 floats', note: 'minimum and maximum', lloydMs, tfjsMs };
  });
}

function quantizeDequantize({ runtime }: State, tf: Tfjs): Promise<BenchRow> {
  return runtime.scope(async (scope) => {
    const values = randomFloats(COUNT);
    const step = Math.fround(2 / 255);
    const qparams = {
      scale: scope.upload(Float32Array.of(step)),
      zeroPoint: scope.upload(new Int32Array(1)),
    };
    const codes = scope.empty(COUNT);
    const output = scope.empty(COUNT * 4);
    const params = { count: COUNT, axisSize: 1, axisStride: COUNT };
    const { WORKGROUP_SIZE } = tuningOf(runtime);
    const quantize = await kernels.quantizeLinear.create(runtime.device, { WORKGROUP_SIZE });
    const dequantize = await kernels.dequantizeLinear.create(runtime.device, { WORKGROUP_SIZE });
    const calls = [
      scope.keep(quantize.bind({ input: scope.upload(values), ...qparams, output: codes }, params)),
      scope.keep(dequantize.bind({ input: codes, ...qparams, output }, params)),
    ];
    const lloydMs = await median(async () => {
      runtime.submit(calls);
      await runtime.read(output, 4);
    });
    const x = tf.tensor1d(values);
    const tfjsMs = await median(async () => {
      const first = tf.tidy(() =>
        tf.slice(tf.mul(tf.clipByValue(tf.round(tf.div(x, step)), -128, 127), step), [0], [1]),
      );
      await first.data();
      first.dispose();
    });
    x.dispose();
    const note =
      'lloyd rounds exactly, to the same packed int8 codes on every adapter, and expands them; tfjs divides, rounds, clips and multiplies floats';
    return { name: 'Quantize and dequantize 1,048,576 floats', note, lloydMs, tfjsMs };
  });
}
