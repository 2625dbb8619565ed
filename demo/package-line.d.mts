import type { Plugin } from 'vite';

export function packageLine(): Plugin;
export function lineOf(packageJson: {
  name: string;
  version: string;
  repository?: string | { url?: string };
}): string;
