from channels.generic.websocket import AsyncJsonWebsocketConsumer


class ChatConsumer(AsyncJsonWebsocketConsumer):
    """One room for everybody: what one says, all hear."""

    groups = ["room"]

    async def receive_json(self, content, **kwargs):
        await self.channel_layer.group_send("room", {"type": "chat.message", "text": str(content["text"])})

    async def chat_message(self, event):
        await self.send_json({"text": event["text"]})
