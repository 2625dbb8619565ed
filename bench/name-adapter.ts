import type { Runtime } from '../src/gpu/runtime.ts';
import type { Results } from './types.ts';

/** What a results file calls the adapter: two cards of one driver have names of their own. */
export function nameAdapter({ adapter }: Runtime): Pick<Results, 'adapter' | 'driver' | 'device'> {
  const { name, vendor, architecture, description, device } = adapter;
  return { adapter: name, driver: [vendor, architecture, description].filter(Boolean).join(' / '), device };
}
