import { vgg } from '../model/vgg.ts';
import { writeModelFile } from '../run/file.ts';
import { initialize, train } from '../train/index.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { loadSplit } from './data.ts';
import { findCommit } from './files.ts';
import { choice, text } from './options.ts';
import { thousands } from './table.ts';
import { runTraining, trainingOptions } from './training.ts';

/** `lloyd train`: the VGG from scratch on CIFAR-10. */
export async function run(context: Context): Promise<void> {
  const { options, files } = context;
  const settings = trainingOptions(context, { batch: 250, epochs: 14 });
  const divisor = choice('--width-divisor', options.widthDivisor, ['1', '2', '4', '8', '16', '32', '64']);
  if (settings.resume !== undefined) await files.reads(settings.resume);
  const out = await files.claim('--out', text(options.out) ?? 'vgg-trained.safetensors');
  const start = initialize(vgg({ widthDivisor: Number(divisor ?? 1) }), {
    seed: settings.settings.seed ?? 0,
  });
  let images = 0;
  await runTraining(context, {
    out,
    options: settings,
    async run(given) {
      const runtime = await context.runtime();
      const data = await loadSplit(files, 'train', settings.limit);
      images = data.count;
      context.print(
        `Training ${start.graph.name} on ${thousands(data.count)} images of CIFAR-10, on ${describeAdapter(runtime)}`,
      );
      return train(runtime, start, data, given);
    },
    encode: (model, step) => writeModelFile(model, { trainedSteps: String(step) }),
    announce: async (_, step, checkpoint) =>
      context.print(`wrote ${out.path}${checkpoint ? ` and ${checkpoint}` : ''} after step ${step}`),
    report: async (step, log) => ({
      adapter: (await context.runtime()).adapter,
      model: start.graph.name,
      images,
      step,
      log,
      commit: await findCommit(),
      date: new Date().toISOString(),
    }),
  });
}
