import { writeModelFile } from '../model/file.ts';
import { vgg } from '../model/vgg.ts';
import { loadCifar10 } from '../node/cifar10.ts';
import { initialize, train } from '../train/index.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { findCommit, writeAtomically } from './files.ts';
import { imageCount, integer, text } from './options.ts';
import { thousands } from './table.ts';
import { checkpointPath, withTraining } from './training.ts';

/** `lloyd train`: the VGG from scratch on CIFAR-10. */
export async function run(context: Context): Promise<void> {
  const { options } = context;
  const out = text(options.out) ?? 'vgg-trained.safetensors';
  const widthDivisor = integer('--width-divisor', options.widthDivisor) ?? 1;
  const limit = Math.min(imageCount(options.images) ?? 50_000, 50_000);
  const start = initialize(vgg({ widthDivisor }), { seed: integer('--seed', options.seed, 0) });
  const { model, checkpoint, step, log, runtime, count } = await withTraining(
    context,
    out,
    async (settings) => {
      const runtime = await context.runtime();
      const data = await loadCifar10('train', { limit });
      context.print(
        `Training ${start.graph.name} on ${thousands(data.count)} images of CIFAR-10, on ${describeAdapter(runtime)}`,
      );
      const result = await train(runtime, start, data, { epochs: 14, batch: 250, ...settings });
      return { ...result, runtime, count: data.count };
    },
  );
  await writeAtomically(checkpointPath(out), checkpoint);
  await writeAtomically(out, writeModelFile(model, { trainedSteps: String(step) }));
  context.print(`wrote ${out} and ${checkpointPath(out)} after step ${step}`);
  context.signal.throwIfAborted();
  await context.writeJson({
    adapter: runtime.adapter,
    model: start.graph.name,
    images: count,
    step,
    log,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
}
