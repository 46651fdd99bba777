/** id → empty: its content, and of a folder all that lies in it, is kept on this machine. */
export const PIN_SPACE = "d.pin";
