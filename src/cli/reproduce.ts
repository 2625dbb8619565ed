import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LloydError } from '../gpu/errors.ts';
import type { Context, OptionValue } from './command.ts';
import { run as compare } from './compare.ts';
import { writeAtomically } from './files.ts';
import { run as finetune } from './finetune.ts';
import { imageCount, integer, text } from './options.ts';
import { run as train } from './train.ts';
import { checkpointPath } from './training.ts';

interface Stage {
  /** The file it writes; its result lies beside it as JSON, and says that the stage is done. */
  file: string;
  run(context: Context): Promise<void>;
  options: Record<string, OptionValue>;
}

/** `lloyd reproduce`: training, fine-tuning at every width and the table, going on where an earlier run was stopped. */
export async function run(context: Context): Promise<void> {
  const { options, print } = context;
  const folder = text(options.out) ?? 'reproduction';
  const planned = stages(folder, options);
  const images = options.testImages ?? 'all';
  if (images !== 'all') integer('--test-images', images);
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw new LloydError('--out must name a folder that can be made', folder, 'choose another', { cause });
  });
  for (const stage of planned) {
    const result = stage.file.replace(/\.safetensors$/, '.json');
    if (await exists(result)) {
      print(`${stage.file}: done before`);
      continue;
    }
    const checkpoint = checkpointPath(stage.file);
    const resume = (await exists(checkpoint)) ? checkpoint : undefined;
    if (resume) print(`${stage.file}: going on from its checkpoint`);
    await stage.run({
      ...context,
      options: { ...stage.options, out: stage.file, resume },
      async writeJson(value) {
        context.signal.throwIfAborted();
        await writeAtomically(result, `${JSON.stringify(value, null, 2)}\n`);
      },
    });
  }
  const weights = join(folder, 'vgg-cifar10.safetensors');
  await compare({ ...context, options: { weights, images } });
}

function stages(folder: string, given: Context['options']): Stage[] {
  const batch = integer('--batch', given.batch) ?? 250;
  const images = imageCount(given.images);
  const shared = {
    batch,
    seed: integer('--seed', given.seed, 0),
    ...(Number.isFinite(images) && { images }),
  };
  const weights = join(folder, 'vgg-cifar10.safetensors');
  const epochs = integer('--epochs', given.epochs) ?? 30;
  const tuned = (
    method: 'kmeans' | 'linear',
    bits: number,
    passes: number,
    own: Stage['options'],
  ): Stage => ({
    file: join(folder, `vgg-cifar10-${method}${bits}-qat.safetensors`),
    run: finetune,
    options: { ...shared, weights, method, bits: String(bits), epochs: passes, ...own },
  });
  const lab = { reassign: 1, reestimate: 6000 };
  return [
    {
      file: weights,
      run: train,
      options: { ...shared, epochs, widthDivisor: integer('--width-divisor', given.widthDivisor) },
    },
    tuned('kmeans', 4, 1, { ...lab, lr: 0.005 }),
    tuned('kmeans', 2, 5, { ...lab, lr: 0.01 }),
    tuned('linear', 4, 2, { lr: 0.002 }),
    tuned('linear', 2, 5, { lr: 0.002, learnedStep: true }),
  ];
}

const exists = (file: string) =>
  stat(file).then(
    () => true,
    () => false,
  );
