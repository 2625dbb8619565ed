import type { CompareRowName } from 'lloyd';
import type { Client } from './client.ts';
import type { Opened } from './protocol.ts';

/** What the panels share. */
export interface App {
  client: Client;
  opened: Opened;
  /** The images and logits of the last comparison, which the Images panel shows. */
  results: Results;
}

export interface Results {
  images: number;
  logits: Map<CompareRowName, Float32Array>;
  onChange: Set<() => void>;
}

/** A panel: built when its tab is first shown. */
export interface Panel {
  id: string;
  title: string;
  build(app: App): HTMLElement;
}
