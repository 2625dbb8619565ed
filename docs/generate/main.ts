import { resolve } from 'node:path';
import { buildSite } from './site.ts';
import { toolsFolder } from './tools.ts';

/** `npm run docs [-- FOLDER]`; returns the exit code. */
export async function main(argv: readonly string[], root: string): Promise<number> {
  const out = resolve(root, argv[0] ?? 'docs/dist');
  const tools = await toolsFolder(root);
  if (!tools) return 1;
  const complaints = await buildSite(root, tools, out);
  for (const complaint of complaints) console.error(complaint);
  console.log(complaints.length > 0 ? `${complaints.length} warnings` : `wrote ${out}`);
  return complaints.length > 0 ? 1 : 0;
}
