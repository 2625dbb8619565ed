/**
 * The first key that some object of a JSON text names twice, which `JSON.parse` would keep the last of in silence.
 *
 * @param text JSON that `JSON.parse` accepts
 */
export function duplicateJsonKey(text: string): string | undefined {
  const open: (Set<string> | null)[] = [];
  for (const token of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g)) {
    const mark = token[0];
    if (mark === '{') open.push(new Set());
    else if (mark === '[') open.push(null);
    else if (mark === '}' || mark === ']') open.pop();
    else if (token[1] !== undefined) {
      const key = JSON.parse(mark.slice(0, mark.lastIndexOf('"') + 1)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}
