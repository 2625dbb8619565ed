// Checkpoints as PyTorch writes them.
import { strToU8, zipSync } from 'fflate';
import { Global, PersistentId, pickle, Reduce } from './pickle-writer.ts';

/** The bytes that a typed array looks at. */
export const bytesOf = (data: ArrayBufferView) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** A storage that a checkpoint's tensors lie in. */
export const storage = (type: string, key: string, count: number, legacy = false) =>
  new PersistentId(['storage', new Global('torch', type), key, 'cpu', count, ...(legacy ? [null] : [])]);

/** An OrderedDict: a state dict, or the hooks of a tensor. */
export const dict = (entries: [string, unknown][] = []) => {
  const ordered = new Reduce(new Global('collections', 'OrderedDict'), [entries]);
  return entries.length > 0 ? ordered : new Reduce(ordered.callee, []);
};

/** A tensor of a storage, as `torch.save` writes it. */
export const tensor = (from: unknown, offset: number, dims: number[], strides: number[]) =>
  new Reduce(new Global('torch._utils', '_rebuild_tensor_v2'), [from, offset, dims, strides, false, dict()]);

/** The zip that `torch.save` makes of an object and its storages. */
export function checkpoint(
  root: unknown,
  storages: Record<string, ArrayBufferView>,
  byteorder = 'little',
): Uint8Array {
  const files: Record<string, Uint8Array> = {
    'archive/data.pkl': pickle(root),
    'archive/byteorder': strToU8(byteorder),
    'archive/version': strToU8('3\n'),
  };
  for (const [key, data] of Object.entries(storages)) files[`archive/data/${key}`] = bytesOf(data);
  return zipSync(files, { level: 0 });
}
