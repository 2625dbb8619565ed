import { quoted } from '../gpu/describe.ts';
import { check } from '../gpu/errors.ts';
import { Budget } from './budget.ts';
import { Opaque, type PickleGlobal, type PickleWorld, readPickle } from './pickle.ts';
import { arrayOver, DTYPE_ARRAYS, type DType, elementCount, type Tensor } from './tensor.ts';
import { ZipArchive } from './zip.ts';

const STORAGES: Record<string, DType> = {
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
};

/** Under which training scripts commonly put the state dict. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model', 'net'];

/** How a numpy scalar is pickled, by numpy 1 and 2: a learning rate or best accuracy beside the state dict. */
const NUMPY = [
  'numpy.core.multiarray.scalar',
  'numpy._core.multiarray.scalar',
  'numpy.dtype',
  '_codecs.encode',
];

/** What `torch.save` wrote before PyTorch 1.6 begins with this number, pickled. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;

const CUT_OFF = 'fetch the file again';
const CONTIGUOUS = 'call .contiguous() on its tensors and save them again';

/** PyTorch's own limit is 64. */
const MAX_RANK = 64;
/** About what a tensor's objects take beside its elements. */
const TENSOR_BYTES = 256;

class Storage {
  /** The elements, once the file's part is found: one array, which every tensor of the storage views. */
  data: Tensor['data'] | undefined;
  constructor(
    readonly dtype: DType,
    readonly key: string,
    readonly count: number,
  ) {}
}

class StoredTensor {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly dims: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/**
 * Reads the tensors of a PyTorch checkpoint: what `torch.save(model.state_dict(), file)` writes, as a zip archive
 * (PyTorch 1.6 and later) or in the older single stream. No code of the file is run: of the globals a pickle may
 * name only the few that rebuild tensors and ordered dicts are known, any other is refused by name.
 *
 * A dict under `state_dict`, `model_state_dict`, `model` or `net` is unwrapped. Entries that are no tensors (an epoch,
 * a learning rate, a numpy scalar) are left out. Tensors whose strides are not row-major are copied into row-major
 * order; what that and inflated entries take is bounded by 16 MiB and 16 bytes a byte of the file.
 *
 * Source: torch/serialization.py and torch/_utils.py of PyTorch.
 *
 * @param bytes the whole file
 * @returns tensors by name in the file's order; float16 and bfloat16 as bits
 * @throws LloydError for a file that is no checkpoint, holds more than tensors, is big-endian, damaged (checksums,
 *   sizes, overlapping entries), whose tensors pass the end of their storage, or that asks for more than its budget
 * @example
 * const state = readPth(await fetch('vgg.pth').then(async (response) => new Uint8Array(await response.arrayBuffer())));
 * state.get('classifier.weight')?.dims; // [10, 512]
 */
export function readPth(bytes: Uint8Array): Map<string, Tensor> {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  const budget = new Budget(bytes.length);
  const root = isZip ? readZip(bytes, budget) : readLegacy(bytes, budget);
  const tensors = new Map<string, Tensor>();
  for (const [name, value] of unwrap(root)) {
    if (!(value instanceof StoredTensor)) continue;
    check(typeof name === 'string', 'a tensor of a checkpoint must be named by text', name);
    tensors.set(name, resolve(name, value, budget));
  }
  check(
    tensors.size > 0,
    'a checkpoint must hold tensors',
    'none',
    `save model.state_dict(), bare or under ${WRAPPERS[0]}`,
  );
  return tensors;
}

function unwrap(root: unknown): Map<unknown, unknown> {
  check(root instanceof Map, 'a checkpoint must be a dict', root, 'save model.state_dict() with torch.save');
  for (const key of WRAPPERS) {
    const inner = root.get(key);
    if (inner instanceof Map) return inner;
  }
  return root;
}

function readZip(bytes: Uint8Array, budget: Budget): unknown {
  const archive = new ZipArchive(bytes, budget);
  const pickles = archive.names.filter((path) => path === 'data.pkl' || path.endsWith('/data.pkl'));
  check(
    pickles.length === 1,
    'a checkpoint archive must hold data.pkl, once',
    pickles.length === 0 ? archive.names : pickles,
    'is this a file of torch.save?',
  );
  const folder = pickles[0].slice(0, -'data.pkl'.length);
  const order = archive.read(`${folder}byteorder`);
  if (order) {
    const name = new TextDecoder().decode(order);
    check(
      name === 'little',
      'a checkpoint must be little-endian',
      name,
      'save it again on a little-endian machine',
    );
  }
  const storages = new Map<string, Storage>();
  const { value } = readPickle(archive.read(pickles[0])!, 0, world(storages, budget));
  for (const storage of storages.values()) {
    const data = archive.read(`${folder}data/${storage.key}`);
    if (data) fill(storage, data);
  }
  return value;
}

function fill(storage: Storage, bytes: Uint8Array): void {
  const { key, dtype, count } = storage;
  const held = Math.floor(bytes.length / DTYPE_ARRAYS[dtype].BYTES_PER_ELEMENT);
  check(
    held === count,
    `storage ${quoted(key)} must have the ${count} elements of its pickle`,
    held,
    CUT_OFF,
  );
  storage.data = arrayOver(dtype, bytes, 0, count);
}

/** Five pickles in a row (magic, protocol, machine, value, storage keys), then each storage's count and bytes. */
function readLegacy(bytes: Uint8Array, budget: Budget): unknown {
  const storages = new Map<string, Storage>();
  let at = 0;
  const next = () => {
    const { value, end } = readPickle(bytes, at, world(storages, budget));
    at = end;
    return value;
  };
  check(
    bytes[0] === 0x80 && next() === LEGACY_MAGIC,
    'a checkpoint must be a file of torch.save',
    'another format',
  );
  next();
  const machine = next();
  const little = machine instanceof Map ? machine.get('little_endian') : true;
  check(
    little !== false,
    'a checkpoint must be little-endian',
    'big-endian',
    'save it again on a little-endian machine',
  );
  const value = next();
  const keys = next();
  check(Array.isArray(keys), 'a checkpoint must list its storages', keys);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const key of keys) {
    const storage = storages.get(key);
    check(storage && !storage.data, 'a checkpoint must use every storage that it lists, once', key);
    const end = at + 8 + storage.count * DTYPE_ARRAYS[storage.dtype].BYTES_PER_ELEMENT;
    check(
      end <= bytes.length,
      `storage ${quoted(key)} must end within the file's ${bytes.length} bytes`,
      end,
      CUT_OFF,
    );
    const count = Number(view.getBigUint64(at, true));
    check(
      count === storage.count,
      `storage ${quoted(key)} must have the ${storage.count} elements of its pickle`,
      count,
    );
    fill(storage, bytes.subarray(at + 8, end));
    at = end;
  }
  return value;
}

function world(storages: Map<string, Storage>, budget: Budget): PickleWorld {
  const globals = new Map<string, PickleGlobal>();
  const allow = (name: string, call?: (args: unknown[]) => unknown) => globals.set(name, { name, call });
  allow('collections.OrderedDict', ([pairs = []]) => {
    check(Array.isArray(pairs), 'an ordered dict must be made from pairs', pairs);
    budget.spend(TENSOR_BYTES + 64 * pairs.length, "a checkpoint's dicts", CONTIGUOUS);
    const arePairs = pairs.every((pair) => Array.isArray(pair) && pair.length === 2 && isName(pair[0]));
    check(arePairs, 'an ordered dict must be made from pairs', pairs);
    return new Map(pairs as [unknown, unknown][]);
  });
  allow('torch.Size', (args) => args[0]);
  const rebuild = (args: unknown[]) => {
    budget.spend(TENSOR_BYTES, "a checkpoint's tensors", CONTIGUOUS);
    return rebuildTensor(args);
  };
  allow('torch._utils._rebuild_tensor', rebuild);
  allow('torch._utils._rebuild_tensor_v2', rebuild);
  allow('torch._utils._rebuild_parameter', (args) => args[0]);
  for (const name of NUMPY) allow(name, () => new Opaque(name));
  for (const name of Object.keys(STORAGES)) allow(`torch.${name}`);
  return { globals, budget, persistentLoad: (id) => loadStorage(id, storages) };
}

const isName = (key: unknown) => typeof key === 'string' || typeof key === 'number';

function loadStorage(id: unknown, storages: Map<string, Storage>): Storage {
  check(Array.isArray(id) && id[0] === 'storage', 'a persistent id must name a storage', id);
  const [, type, key, , count, viewed] = id as [string, PickleGlobal, unknown, unknown, number, unknown];
  const typeName = typeof type?.name === 'string' ? type.name : '';
  const dtype = STORAGES[typeName.replace('torch.', '')];
  check(dtype, `a storage must be one of ${Object.keys(STORAGES).join(', ')}`, typeName || type);
  check(typeof key === 'string', 'a storage must be named by text', key);
  check(Number.isSafeInteger(count) && count >= 0, 'a storage must have a count of elements', count);
  check(
    viewed === undefined || viewed === null,
    'a storage must not be a view of another',
    viewed,
    'save it with PyTorch 1.6 or later',
  );
  const known = storages.get(key) ?? new Storage(dtype, key, count);
  const storage = `storage ${quoted(key)}`;
  check(known.dtype === dtype, `${storage} must have one dtype`, `${known.dtype} and ${dtype}`);
  check(known.count === count, `${storage} must have one count of elements`, `${known.count} and ${count}`);
  storages.set(key, known);
  return known;
}

function rebuildTensor(args: unknown[]): StoredTensor {
  const [storage, offset, dims, strides] = args as [Storage, number, number[], number[]];
  const isIndex = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  check(storage instanceof Storage, 'a tensor must have a storage', storage);
  check(isIndex(offset), 'a tensor must have a non-negative storage offset', offset);
  check(Array.isArray(dims) && Array.isArray(strides), 'a tensor must have dimensions and strides', dims);
  check(dims.length <= MAX_RANK, `a tensor must have at most ${MAX_RANK} dimensions`, dims.length);
  check(dims.every(isIndex), 'a tensor must have non-negative dimensions', dims);
  check(strides.length === dims.length, 'a tensor must have as many strides as dimensions', strides.length);
  check(strides.every(isIndex), 'a tensor must have non-negative strides', strides);
  // Copies: a pickle may append to its lists after this.
  return new StoredTensor(storage, offset, [...dims], [...strides]);
}

function resolve(name: string, { storage, offset, dims, strides }: StoredTensor, budget: Budget): Tensor {
  const tensor = `tensor ${quoted(name)}`;
  const { dtype, data } = storage;
  check(
    data,
    `${tensor} must have its storage in the file`,
    `no storage ${quoted(storage.key)}`,
    'fetch the file again',
  );
  const count = elementCount(dims);
  check(count < 2 ** 31, `${tensor} must have fewer than 2^31 elements`, count);
  const reach = dims.reduce((sum, dim, axis) => sum + (dim - 1) * strides[axis], offset + 1);
  check(
    count === 0 || reach <= data.length,
    `${tensor} must end within its storage of ${data.length} elements`,
    `element ${reach}`,
  );
  const shape = [...dims];
  if (count === 0) return { dtype, dims: shape, data: data.subarray(0, 0) };
  if (isRowMajor(dims, strides)) return { dtype, dims: shape, data: data.subarray(offset, offset + count) };
  budget.spend(count * data.BYTES_PER_ELEMENT, 'tensors that are not row-major', CONTIGUOUS);
  return { dtype, dims: shape, data: gather(data, offset, dims, strides, count) };
}

function isRowMajor(dims: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    if (dims[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= dims[axis];
  }
  return true;
}

function gather<A extends Tensor['data']>(
  from: A,
  offset: number,
  dims: readonly number[],
  strides: readonly number[],
  count: number,
): A {
  const to = new (from.constructor as new (length: number) => A)(count);
  const index = new Array<number>(dims.length).fill(0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    to[i] = from[at];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < dims[axis]) break;
      at -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return to;
}
