import { check, LloydError } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { readSafetensors, writeSafetensors } from '../io/safetensors.ts';
import type { Tensor } from '../io/tensor.ts';
import type { CodebookLayer, LinearLayer } from '../model/quantized-model.ts';
import type { AffineLayer } from './layers.ts';
import type { TrainingNetwork } from './network.ts';

const FORMAT = 'lloyd-checkpoint';
const VERSION = '1';

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
  return writeSafetensors(tensors, { format: FORMAT, version: VERSION, step: String(step), ...kind });
}

/**
 * Puts a checkpoint back, after all of it has been checked.
 *
 * @returns the step it was saved after
 * @throws LloydError for another kind of file, a damaged one, another network or precision, or a run with other settings
 */
export function restoreCheckpoint(
  runtime: Runtime,
  network: TrainingNetwork,
  checkpoint: Uint8Array,
  kind: CheckpointKind,
): number {
  const { tensors, metadata } = readSafetensors(checkpoint);
  const step = checkMetadata(metadata, kind);
  const codes = new Map([...network.weights].filter(([, { setCodes }]) => setCodes));
  for (const name of [...network.state.keys(), ...[...codes.keys()].map((layer) => `${layer}.codes`)])
    check(tensors.has(name), `the checkpoint must hold ${name}`, 'none', DAMAGED);
  for (const [name, tensor] of tensors) {
    const buffer = network.state.get(name);
    const layer = name.replace(/\.codes$/, '');
    if (buffer) checkState(name, tensor, buffer.size);
    else if (layer !== name && codes.has(layer)) checkDtype(name, tensor, 'uint8');
    else throw new LloydError('a checkpoint must hold nothing but its network', name, DAMAGED);
  }
  for (const [name, { setCodes }] of codes) setCodes!(tensors.get(`${name}.codes`)!.data as Uint8Array);
  for (const [name, buffer] of network.state) {
    const { data } = tensors.get(name)!;
    runtime.write(buffer, data);
  }
  return step;
}

const DAMAGED = 'it is damaged, or of another version';

function checkMetadata(metadata: Record<string, string>, { architecture, settings }: CheckpointKind): number {
  check(
    metadata.format === FORMAT,
    'a checkpoint must be one that training wrote',
    metadata.format ?? 'another file',
  );
  check(
    metadata.version === VERSION,
    `a checkpoint's version must be ${VERSION}`,
    metadata.version,
    'go on with the release that wrote it',
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
  const step = /^\d{1,15}$/.test(metadata.step ?? '') ? Number(metadata.step) : Number.NaN;
  const { steps } = JSON.parse(settings) as { steps: number };
  check(step <= steps, `a checkpoint's step must be an integer from 0 to ${steps}`, metadata.step, DAMAGED);
  return step;
}

function checkState(name: string, tensor: Tensor, byteLength: number): void {
  checkDtype(name, tensor, 'float32');
  const data = tensor.data as Float32Array;
  check(
    data.byteLength === byteLength,
    `the checkpoint's ${name} must have ${byteLength / 4} values`,
    data.length,
    DAMAGED,
  );
  const wrong = data.findIndex((value) => !Number.isFinite(value));
  check(wrong < 0, `the checkpoint's ${name} must be finite`, data[wrong], DAMAGED);
}

function checkDtype(name: string, { dtype }: Tensor, wanted: string): void {
  check(dtype === wanted, `the checkpoint's ${name} must be ${wanted}`, dtype, DAMAGED);
}

function describe(architecture: string | undefined): string {
  try {
    const { graph, quantized } = JSON.parse(architecture ?? '');
    return `${graph}${quantized.length ? `, ${quantized[0][1]} ${quantized[0][2]} bit` : ', float32'}`;
  } catch {
    return 'unknown';
  }
}
