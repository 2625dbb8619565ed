import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

type Tf = typeof import('@tensorflow/tfjs');
type TfjsModel = import('@tensorflow/tfjs').GraphModel | import('@tensorflow/tfjs').LayersModel;

/** What a `model.json` holds. */
export interface ModelJson {
  modelTopology: object;
  format?: string;
  signature?: object;
  weightsManifest: { paths: string[]; weights: import('@tensorflow/tfjs').io.WeightsManifestEntry[] }[];
}

/** Whether parsed JSON is a network of tfjs's. */
export function isModelJson(json: unknown): json is ModelJson {
  const { modelTopology, weightsManifest } = (json ?? {}) as Partial<ModelJson>;
  return typeof modelTopology === 'object' && modelTopology !== null && Array.isArray(weightsManifest);
}

/** A file's contents; those of some packages are scripts that export them. */
export function readModelJson(path: string): unknown {
  return path.endsWith('.js') ? createRequire(import.meta.url)(path) : JSON.parse(readFileSync(path, 'utf8'));
}

/** Loads a network of tfjs's from its files, with tensors of the backend that is set. */
export async function loadTfjs(tf: Tf, path: string): Promise<TfjsModel> {
  const json = readModelJson(path) as ModelJson;
  const { weightsManifest, ...rest } = json;
  const names = weightsManifest.flatMap(({ paths }) => paths);
  const read = (name: string) =>
    path.endsWith('.js')
      ? Buffer.from(createRequire(import.meta.url)(join(dirname(path), `${name}.min.js`)), 'base64')
      : readFileSync(join(dirname(path), name));
  const weights = Buffer.concat(names.map(read));
  const weightData = weights.buffer.slice(
    weights.byteOffset,
    weights.byteOffset + weights.byteLength,
  ) as ArrayBuffer;
  const weightSpecs = weightsManifest.flatMap((group) => group.weights);
  const handler = { load: async () => ({ ...rest, weightSpecs, weightData }) };
  const isGraph = json.format === 'graph-model' || !('model_config' in json.modelTopology);
  return isGraph ? tf.loadGraphModel(handler) : tf.loadLayersModel(handler);
}
