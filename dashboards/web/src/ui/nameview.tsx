import "../styles/dialog";
import { Button, Modal, TextInput } from "@mantine/core";
import { useState } from "react";

export default function NameView({ close, save }: { close: () => void; save: (name: string) => void }) {
  const [name, setName] = useState("");
  return (
    <Modal opened onClose={close} title="Save this view" closeButtonProps={{ "aria-label": "Close" }}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (name.trim()) save(name.trim());
        }}
      >
        <TextInput label="Name" description="Filters and grouping, for whichever tenant is chosen" data-autofocus required maxLength={80} value={name} onChange={(e) => setName(e.currentTarget.value)} />
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={!name.trim()}>
            Save the view
          </Button>
        </div>
      </form>
    </Modal>
  );
}
