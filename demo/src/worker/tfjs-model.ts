import { type GraphModel, LloydError, type Runtime } from 'lloyd';
import { fromGraphModel, fromLayersModel, shareDevice } from 'lloyd/tfjs';

interface ModelJson {
  format?: string;
  modelTopology?: object;
  weightsManifest?: { paths: string[]; weights: object[] }[];
  signature?: object;
}

/**
 * Reads a TensorFlow.js model, layers or graph, from its `model.json` and the files of weights that it names.
 *
 * @throws LloydError for a file that is none, and whatever `fromLayersModel` and `fromGraphModel` refuse
 */
export async function readTfjs(
  runtime: Runtime,
  bytes: Uint8Array,
  companion: (location: string) => Promise<Uint8Array>,
): Promise<GraphModel> {
  const json = parse(bytes);
  const { modelTopology, weightsManifest, signature } = json;
  if (!modelTopology || !Array.isArray(weightsManifest))
    throw new LloydError(
      'a .json file must be a TensorFlow.js model with its topology and weights',
      Object.keys(json),
      'is this the model.json that tfjs wrote?',
    );
  const parts: Uint8Array[] = [];
  for (const { paths } of weightsManifest) for (const path of paths) parts.push(await companion(path));
  const artifacts = {
    ...{ modelTopology, signature },
    weightSpecs: weightsManifest.flatMap(({ weights }) => weights) as never,
    weightData: await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer(),
  };
  const { tf } = await shareDevice(runtime);
  // A graph's topology is a list of nodes, in layers' there is none.
  const isGraph = json.format === 'graph-model' || 'node' in modelTopology;
  const source = tf.io.fromMemory(artifacts);
  try {
    if (isGraph) {
      const model = await tf.loadGraphModel(source);
      return await fromGraphModel(model).finally(() => model.dispose());
    }
    const model = await tf.loadLayersModel(source);
    return await fromLayersModel(model).finally(() => model.dispose());
  } catch (error) {
    if (error instanceof LloydError) throw error;
    const cure = 'save it again with tfjs 3 or 4';
    throw new LloydError('tfjs must be able to load the model', (error as Error).message, cure, {
      cause: error,
    });
  }
}

function parse(bytes: Uint8Array): ModelJson {
  try {
    const json = JSON.parse(new TextDecoder().decode(bytes));
    if (json && typeof json === 'object') return json;
  } catch {
    // Said below.
  }
  throw new LloydError('a .json file must hold an object of JSON', 'none', 'fetch it again');
}
