import { Gateway } from "encore.dev/api";

export const gateway = new Gateway({});
