import type { CompareRowName } from 'lloyd';
import type { Client } from './client.ts';
import type { Opened } from './protocol.ts';

/** What the panels share. */
export interface App {
  client: Client;
  opened: Opened;
  /** The last comparison, whose answers the worker keeps. */
  results: Results;
}

export interface Results {
  images: number;
  rows: CompareRowName[];
  onChange: Set<() => void>;
}

/** A panel: built when its tab is first shown. */
export interface Panel {
  id: string;
  title: string;
  build(app: App): HTMLElement;
}

/** Notes what the last comparison was, and tells the panels that show it. */
export function setResults({ results }: App, images: number, rows: CompareRowName[]): void {
  results.images = images;
  results.rows = rows;
  for (const tell of results.onChange) tell();
}
