import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LloydError } from '../gpu/errors.ts';
import type { Context, OptionValue } from './command.ts';
import { run as compare } from './compare.ts';
import { readJson, writeAtomically } from './files.ts';
import { run as finetune } from './finetune.ts';
import { createLedger } from './ledger.ts';
import { imageCount, integer, seed, TEST_IMAGES, TRAINING_IMAGES, text } from './options.ts';
import { run as train } from './train.ts';
import { latestCheckpoint } from './training.ts';

interface Stage {
  /** The file it writes; its result lies beside it as JSON, and says that the stage is done. */
  file: string;
  run(context: Context): Promise<void>;
  options: Record<string, OptionValue>;
}

/** `lloyd reproduce`: training, fine-tuning at every width and the table, going on where an earlier run was stopped. */
export async function run(context: Context): Promise<void> {
  const { options, print, files } = context;
  const folder = text(options.out) ?? 'reproduction';
  const planned = stages(folder, options);
  const images = options.testImages ?? 'all';
  if (images !== 'all') integer('--test-images', images, 1, TEST_IMAGES);
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw new LloydError('--out must name a folder that can be made', folder, 'choose another', { cause });
  });
  // The table's own file must not be one of the stages': seen before the first of them has run for hours.
  for (const { file } of planned) await Promise.all([files.reads(file), files.reads(resultOf(file))]);
  for (const stage of planned) {
    const result = resultOf(stage.file);
    if (await exists(result)) {
      print(`${stage.file}: done before`);
      continue;
    }
    const resume = await latestCheckpoint(stage.file);
    if (resume) print(`${stage.file}: going on from its checkpoint`);
    await stage.run(await contextOf(context, stage, resume));
  }
  const weights = join(folder, 'vgg-cifar10.safetensors');
  await compare({ ...context, options: { weights, images } });
}

/** A stage reads what earlier ones wrote, and keeps an interrupted log apart: its result says that it is done. */
async function contextOf(context: Context, stage: Stage, resume: string | undefined): Promise<Context> {
  const files = createLedger(context.signal, context.files.written);
  const result = resultOf(stage.file);
  const unfinished = result.replace(/\.json$/, '.unfinished.json');
  const write = async (path: string, value: object) => {
    await writeAtomically(path, `${JSON.stringify(value, null, 2)}\n`);
  };
  return {
    ...context,
    files,
    options: { ...stage.options, out: stage.file, resume },
    earlierJson: () => readJson(unfinished),
    keepJson: (value) => write(unfinished, value),
    async writeJson(value) {
      await write(result, value);
      await rm(unfinished, { force: true });
    },
  };
}

const resultOf = (file: string) => file.replace(/\.safetensors$/, '.json');

function stages(folder: string, given: Context['options']): Stage[] {
  const batch = integer('--batch', given.batch) ?? 250;
  const images = imageCount(given.images, TRAINING_IMAGES);
  const shared = {
    batch,
    seed: seed(given.seed),
    ...(images !== undefined && Number.isFinite(images) && { images }),
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
