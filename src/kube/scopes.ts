/** How namespaces are watched: each by itself, or all together. */

/** More than this are watched together: each one costs a connection for each kind. */
const MOST_APART = 20;

/** The scopes to watch for the namespaces that are served, '' for all. What is served may be less than what is watched. */
export function scopesOf(served: '*' | readonly string[]): readonly string[] {
  return served === '*' || served.length > MOST_APART ? [''] : served;
}
