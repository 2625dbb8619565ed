import type { Runtime } from '../gpu/runtime.ts';

/**
 * Where picks outlive a process: one text, whatever the medium. A browser keeps it in IndexedDB, Node in the cache
 * folder (`lloyd/tuning.json`). Neither call throws: a store that cannot be read is empty, one that cannot be written
 * forgets.
 */
export interface TuningStore {
  read(): Promise<string | null>;
  write(text: string): Promise<void>;
}

/** A remembered pick; times are milliseconds, for reports. */
export interface StoredPick {
  label: string;
  /** How many candidates of the list it has been held against: time may have run out before the last. */
  tried: number;
  /** Stands for that list. */
  list?: string;
  milliseconds: number;
  defaultMilliseconds: number;
}

interface Contents {
  format: typeof FORMAT;
  /** By adapter, then by class of work. */
  adapters: Record<string, Record<string, StoredPick>>;
}

const FORMAT = 'lloyd-tuning-1';

/** This adapter's picks. */
export interface TuningCache {
  get(key: string): StoredPick | undefined;
  set(key: string, pick: StoredPick): void;
  /** Writes what `set` added, beside what other processes wrote in the meantime. */
  save(): Promise<void>;
}

/**
 * Opens the picks of the runtime's adapter. Text that is damaged or of another format counts as empty and is replaced
 * by the next `save`; other adapters' picks are kept.
 *
 * @example
 * const cache = await openTuningCache(runtime, store);
 * cache.get('conv2d-int8 ...')?.label;
 */
export async function openTuningCache(
  runtime: Pick<Runtime, 'device'>,
  store: TuningStore,
): Promise<TuningCache> {
  const adapter = adapterKey(runtime);
  const picks = new Map(Object.entries(parse(await store.read()).adapters[adapter] ?? {}));
  const added = new Map<string, StoredPick>();
  return {
    get: (key) => added.get(key) ?? picks.get(key),
    set: (key, pick) => void added.set(key, pick),
    async save() {
      if (added.size === 0) return;
      const { adapters } = parse(await store.read());
      const own = { ...adapters[adapter], ...Object.fromEntries(added) };
      const contents: Contents = { format: FORMAT, adapters: { ...adapters, [adapter]: own } };
      await store.write(`${JSON.stringify(contents, null, 1)}\n`);
    },
  };
}

/**
 * What a pick is good for: this adapter under this driver. Dawn's description names the driver and its version; a
 * browser leaves it empty, and its own version, which brings its compiler, stands in.
 */
export function adapterKey({ device }: Pick<Runtime, 'device'>): string {
  const { vendor, architecture, device: model, description } = device.adapterInfo;
  const agent = globalThis.navigator?.userAgent ?? '';
  return [vendor, architecture, model, description, agent].join(' | ');
}

function parse(text: string | null): Contents {
  const empty: Contents = { format: FORMAT, adapters: {} };
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    return empty;
  }
  const { format, adapters } = (value ?? {}) as { format?: unknown; adapters?: unknown };
  if (format !== FORMAT || !isRecord(adapters)) return empty;
  const sound: Contents['adapters'] = {};
  for (const [adapter, picks] of Object.entries(adapters)) {
    if (!isRecord(picks)) continue;
    sound[adapter] = Object.fromEntries(
      Object.entries(picks).filter((entry): entry is [string, StoredPick] => isPick(entry[1])),
    );
  }
  return { format, adapters: sound };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPick(value: unknown): value is StoredPick {
  const { label, tried, milliseconds, defaultMilliseconds } = (value ?? {}) as Partial<StoredPick>;
  return (
    typeof label === 'string' &&
    Number.isInteger(tried) &&
    Number.isFinite(milliseconds) &&
    Number.isFinite(defaultMilliseconds)
  );
}
