const DATABASE = 'lloyd';
const STORE = 'tuning';
const KEY = 'picks';

/** The text of a browser's tuning picks, in IndexedDB; null where there is none or storage is denied. */
export async function readTuning(): Promise<string | null> {
  const text = await inStore('readonly', (store) => store.get(KEY));
  return typeof text === 'string' ? text : null;
}

/** Replaces the text; where storage is denied it is only forgotten. */
export async function writeTuning(text: string): Promise<void> {
  await inStore('readwrite', (store) => store.put(text, KEY));
}

/** The request's result, or undefined when anything fails: private windows and workers of other origins have no database. */
async function inStore(
  mode: IDBTransactionMode,
  use: (store: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  try {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const database = await settled<IDBDatabase>(opening);
    try {
      return await settled(use(database.transaction(STORE, mode).objectStore(STORE)));
    } finally {
      database.close();
    }
  } catch {
    return undefined;
  }
}

function settled<T>(request: IDBRequest<T> | IDBOpenDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T);
    request.onerror = () => reject(request.error);
  });
}
