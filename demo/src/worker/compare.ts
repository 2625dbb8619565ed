import {
  type ActivationQparams,
  type CompareRowName,
  type Comparison,
  compareModel,
  compile,
  isQuantized,
  type QuantizedModel,
} from 'lloyd';
import { CIFAR10_IMAGE_BYTES } from 'lloyd/io';
import type { Calls, RowLogits } from '../protocol.ts';
import type { Context } from './main.ts';
import { calibrationOf, networkOf } from './state.ts';

/** The library's own comparison, so that its numbers are those of `lloyd compare`. */
export async function compare(
  { rows, images, calibration }: Calls['compare']['request'],
  { state, signal, progress }: Context<'compare'>,
): Promise<Calls['compare']['result']> {
  const { runtime, model, test } = state;
  if (test.count === 0)
    throw new Error('there are no test images: drop a CIFAR-10 batch file (test_batch.bin)');
  const count = Math.min(images, test.count);
  for (const name of rows) if (name.endsWith('-qat')) await state.trained(name);
  const trained: Partial<Record<CompareRowName, QuantizedModel>> = Object.fromEntries(state.networks);
  const logits = new Map<CompareRowName, Float32Array>();
  let activations: QuantizedModel['activations'] = new Map();
  const comparison = await compareModel(
    runtime,
    model,
    test.images.subarray(0, count * CIFAR10_IMAGE_BYTES),
    test.labels.subarray(0, count),
    {
      calibration: calibrationOf(state, calibration),
      rows,
      trained,
      // Small batches on a software adapter: a run can be cancelled between two.
      ...(runtime.adapter.profile === 'cpu' && { batch: Math.min(2, count) }),
      signal,
      onLost: state.renew,
      onProgress: ({ row, done, total }) => progress({ kind: 'step', row, done, total }),
      onRow(row, measured) {
        const network = measured?.network;
        if (network && isQuantized(network)) {
          state.networks.set(row.name, network);
          if (network.method === 'linear') activations = network.activations;
        }
        if (measured) logits.set(row.name, measured.logits);
        progress({ kind: 'row', row });
      },
    },
  );
  state.compared = { images: count, logits };
  return { comparison, file: fileOf(comparison, logits, activations) };
}

/** All that was measured. Made here: a text of a million logits would hold up the page's own thread. */
function fileOf(
  comparison: Comparison,
  logits: ReadonlyMap<string, Float32Array>,
  activations: ReadonlyMap<string, ActivationQparams>,
): Blob {
  const all = {
    ...comparison,
    activations: Object.fromEntries(activations),
    logits: Object.fromEntries([...logits].map(([name, own]) => [name, [...own]])),
  };
  return new Blob([JSON.stringify(all)], { type: 'application/json' });
}

/** What each precision makes of a picture. */
export async function classify(
  { pixels, rows }: Calls['classify']['request'],
  { state, signal, progress }: Context<'classify'>,
): Promise<RowLogits[]> {
  const results: RowLogits[] = [];
  for (const name of rows) {
    signal.throwIfAborted();
    const session = await compile(state.runtime, await networkOf(state, name), { batch: 1 });
    try {
      results.push({ name, logits: await session.run(pixels) });
      progress(results.at(-1)!);
    } finally {
      session.destroy();
    }
  }
  return results;
}
