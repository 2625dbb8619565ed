import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { readSafetensors, writeSafetensors } from '../io/safetensors.ts';
import type { Tensor } from '../io/tensor.ts';
import type { CodebookLayer, LinearLayer } from '../model/precision.ts';
import type { AffineLayer } from './layers.ts';
import type { TrainingNetwork } from './network.ts';

const FORMAT = 'lloyd-checkpoint';

/** What a checkpoint is of: the network, and the settings of the run it belongs to. */
export interface CheckpointKind {
  architecture: string;
  settings: string;
}

/** Names a network and its precisions: checkpoints of one are refused by another. */
export function architectureOf(
  name: string,
  layers: readonly AffineLayer[],
  quantized: ReadonlyMap<string, CodebookLayer | LinearLayer> = new Map(),
): string {
  return JSON.stringify({
    graph: name,
    layers: layers.map((layer) => [
      layer.name,
      layer.input.channels,
      layer.shape.channels,
      ...(layer.kind === 'conv' ? layer.kernel : [layer.kind]),
    ]),
    quantized: [...quantized].map(([layer, { method, bits }]) => [layer, method, bits]),
  });
}

/** Everything that training changes, as safetensors. */
export async function writeCheckpoint(
  runtime: Runtime,
  network: TrainingNetwork,
  step: number,
  kind: CheckpointKind,
): Promise<Uint8Array> {
  const tensors = new Map<string, Tensor>();
  for (const [name, buffer] of network.state) {
    const data = new Float32Array(await runtime.read(buffer));
    tensors.set(name, { dtype: 'float32', dims: [data.length], data });
  }
  for (const [name, { codes }] of network.weights) {
    if (!codes) continue;
    const data = codes().slice();
    tensors.set(`${name}.codes`, { dtype: 'uint8', dims: [data.length], data });
  }
  return writeSafetensors(tensors, { format: FORMAT, version: '1', step: String(step), ...kind });
}

/**
 * Puts a checkpoint back.
 *
 * @returns the step it was saved after
 * @throws LloydError for another kind of file, another network or precision, or a run with other settings
 */
export function restoreCheckpoint(
  runtime: Runtime,
  network: TrainingNetwork,
  checkpoint: Uint8Array,
  { architecture, settings }: CheckpointKind,
): number {
  const { tensors, metadata } = readSafetensors(checkpoint);
  check(
    metadata.format === FORMAT,
    'a checkpoint must be one that training wrote',
    metadata.format ?? 'another file',
  );
  check(
    metadata.architecture === architecture,
    'a checkpoint must be of the same network and precision',
    describe(metadata.architecture),
    `this is ${describe(architecture)}`,
  );
  check(
    metadata.settings === settings,
    'a run goes on with the settings it began with',
    metadata.settings,
    `now ${settings}`,
  );
  for (const [name, buffer] of network.state) {
    const tensor = tensors.get(name);
    check(
      tensor?.dtype === 'float32' && tensor.data.byteLength === buffer.size,
      `the checkpoint must hold ${name}`,
      tensor ? `${tensor.dtype} [${tensor.dims}]` : 'none',
      'it is damaged, or of another version',
    );
    runtime.device.queue.writeBuffer(buffer, 0, tensor.data as Float32Array<ArrayBuffer>);
  }
  for (const [name, weights] of network.weights) {
    const saved = tensors.get(`${name}.codes`);
    if (weights.setCodes && saved) weights.setCodes(saved.data as Uint8Array);
  }
  return Number(metadata.step);
}

function describe(architecture: string | undefined): string {
  try {
    const { graph, quantized } = JSON.parse(architecture ?? '');
    return `${graph}${quantized.length ? `, ${quantized[0][1]} ${quantized[0][2]} bit` : ', float32'}`;
  } catch {
    return 'unknown';
  }
}
