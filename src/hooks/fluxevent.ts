/** Events as Flux sends them. https://github.com/fluxcd/pkg/blob/main/apis/event/v1beta1/event.go */

/** One event, with what is beyond its bounds cut or left out. */
export interface FluxEvent {
  readonly involvedObject: {
    /** Without the version: `source.toolkit.fluxcd.io`; '' where the event names none. */
    readonly group: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string | undefined;
  };
  readonly severity: string;
  /** Milliseconds since the epoch; undefined: none that can be read. */
  readonly timestamp: number | undefined;
  readonly message: string;
  readonly reason: string;
  /** With their prefixes as they came, or without them. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly reportingController: string;
}
