import { back } from "~encore/clients";
import { release } from "../back/api";

// What a service with listeners of its own does: it keeps the process until its drain is done.
void back.lifeline();
process.on("SIGTERM", () => {
  setTimeout(() => {
    process.stderr.write("drained\n");
    release();
  }, 200);
});
